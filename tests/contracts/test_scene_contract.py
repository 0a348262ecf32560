"""What every scene keeps to, whatever it is made of. A new scene adds one line to `SCENES`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import get_args

import pytest
import torch
from tests.scenes.field.conftest import smooth_grid
from tests.scenes.nerf.toy import random_nerf
from tests.scenes.sigma_srn.test_network import scene as random_category
from torch import Tensor

from resect.data.synthetic import SyntheticSettings, make_capture
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.geometry.solids import box, icosphere
from resect.protocols import RayScene, Scene
from resect.refine.linearize import sensitivity
from resect.scenes.composite import Composite, Part
from resect.scenes.field.frame import Frame
from resect.scenes.field.scene import Field
from resect.scenes.field.settings import FieldSettings
from resect.scenes.mesh.scene import MeshScene
from resect.scenes.room import Room
from resect.types import Channel, Photo, Render


@dataclass(frozen=True, eq=False)
class Case:
    """A scene and how to look at it.

    Attributes:
        scene: the scene.
        camera: a small camera of it.
        cam_from_world: three poses that see the scene, in the dtype in which the scene is most exact.
        photo: a photo of the scene.
        step: of central differences, world units and radians.
        tolerance: of the derivative, relative.
        agreement: share of pixels whose derivative must agree; those at edges need not.
        differentiable: whether gradients flow through `render`.
        points: whether a pixel shows what is at its centre, whatever its size; else a mean over its square.
    """

    scene: Scene
    camera: Camera
    cam_from_world: SE3
    photo: Photo
    step: float = 1e-6
    tolerance: float = 0.02
    agreement: float = 0.97
    differentiable: bool = True
    points: bool = True


def room() -> Case:
    centers = torch.tensor([[0.9, 0.5, 1.6], [3.2, 1.0, 1.5], [2.0, 2.4, 1.5]], dtype=torch.float64)
    targets = torch.tensor([[2.2, 1.7, 0.7], [1.6, 1.8, 0.8], [2.2, 0.8, 0.7]], dtype=torch.float64)
    photo = make_capture(SyntheticSettings(photos=1, width=64, height=48))[0]
    scene: RayScene = Room()
    return Case(scene, Camera.from_fov(1.1, 16, 12), look_at(centers, targets), photo)


def field() -> Case:
    """Rough voxels. Its derivatives hold the samples' distances, which along the view differs by a tenth here."""
    local_from_world = Sim3(torch.tensor(0.4).double(), torch.eye(3).double(), torch.tensor([0.1, -0.2, 0.3]).double())
    frame = Frame(local_from_world, 0.05, 30.0, 1.0, "common")
    scene: RayScene = Field(smooth_grid(), frame, (0.5, 0.5, 0.5), FieldSettings())
    centers = torch.tensor([[2.5, 0.0, 1.0], [-1.0, 2.2, 0.5], [0.4, -2.0, -1.5]])
    photo = make_capture(SyntheticSettings(photos=1, width=64, height=48))[0]
    camera = Camera.from_fov(0.8, 16, 12)
    return Case(scene, camera, look_at(centers, torch.zeros(3, 3)), photo, step=1e-3, tolerance=0.2, agreement=0.8)


def mesh() -> Case:
    """A ball with smooth colours and a box that hides part of it."""
    ball, cut = icosphere(0.5, 2, dtype=torch.float64), box((0.4, 0.3, 0.5), dtype=torch.float64)
    vertices = torch.cat([ball.vertices, cut.vertices + torch.tensor([0.5, 0.1, 0.0])])
    colors = 0.5 + 0.4 * torch.sin(2 * vertices + torch.tensor([0.0, 1.0, 2.0]))
    joined = Mesh(vertices, torch.cat([ball.faces, cut.faces + len(ball.vertices)]), colors=colors)
    scene = MeshScene(joined, background=(0.2, 0.3, 0.4), antialias=False)
    centers = torch.tensor([[1.6, 0.0, 0.5], [-0.7, 1.3, 0.5], [0.4, -1.3, -0.9]], dtype=torch.float64)
    targets = torch.tensor([[0.1, 0.05, 0.0]], dtype=torch.float64).expand(3, 3)
    photo = make_capture(SyntheticSettings(photos=1, width=64, height=48))[0]
    return Case(scene, Camera.from_fov(0.8, 16, 12), look_at(centers, targets), photo)


def mesh_antialiased() -> Case:
    case = mesh()
    assert isinstance(case.scene, MeshScene)
    camera = case.camera.rescale(32, 24)
    return replace(
        case, scene=replace(case.scene, antialias=True), camera=camera, points=False, tolerance=0.2, agreement=0.9
    )


def composite() -> Case:
    """A ball and a box that stands turned before it."""
    case, turned = mesh_antialiased(), SE3.exp(torch.tensor([0.3, 0.1, 0.2, 0.5, -0.3, 0.2]).double())
    ball, cut = icosphere(0.5, 2, dtype=torch.float64), box((0.4, 0.3, 0.5), dtype=torch.float64)
    scenes = [MeshScene(replace(m, colors=0.5 + 0.4 * torch.sin(2 * m.vertices)), (0.6, 0.1, 0.3)) for m in (ball, cut)]
    parts = (Part(scenes[0], SE3.identity(dtype=torch.float64)), Part(scenes[1], turned))
    return replace(case, scene=Composite(parts, (0.2, 0.3, 0.4)))


def nerf() -> Case:
    """Random weights. Finer samples move with the pose, which derivatives leave out."""
    scene: RayScene = random_nerf()
    centers = torch.tensor([[2.5, 0.0, 1.0], [-1.0, 2.2, 0.5], [0.4, -2.0, -1.5]])
    photo = make_capture(SyntheticSettings(photos=1, width=64, height=48))[0]
    poses = look_at(centers, torch.zeros(3, 3))
    return Case(scene, Camera.from_fov(0.8, 16, 12), poses, photo, step=1e-3, tolerance=0.2, agreement=0.8)


def instance() -> Case:
    """One instance of a category with random weights."""
    category = random_category()
    category.network.ray_marcher.aim(0.8)
    category.network.pixel_generator.net[-1].weight.data *= 3  # type: ignore[operator, union-attr]
    scene = category.of(50 * category.code_of(1))
    centers = torch.tensor([[2.5, 0.0, 1.0], [-1.0, 2.2, 0.5], [0.4, -2.0, -1.5]])
    photo = make_capture(SyntheticSettings(photos=1, width=64, height=48))[0]
    poses = look_at(centers, torch.zeros(3, 3))
    return Case(scene, Camera.from_fov(0.8, 16, 12), poses, photo, step=1e-3, tolerance=0.2, agreement=0.8)


SCENES: dict[str, Callable[[], Case]] = {
    "nerf": nerf,
    "room": room,
    "field": field,
    "mesh": mesh,
    "mesh, antialiased": mesh_antialiased,
    "composite": composite,
    "instance of a category": instance,
}


@cache
def case_of(name: str) -> Case:
    return SCENES[name]()


@pytest.fixture(params=SCENES)
def case(request: pytest.FixtureRequest) -> Case:
    return case_of(request.param)


def filled(render: Render) -> dict[str, Tensor]:
    return {name: getattr(render, name) for name in get_args(Channel) if getattr(render, name) is not None}


def test_channels_have_the_promised_shapes_ranges_and_dtype(case: Case) -> None:
    render = case.scene.render(case.camera, case.cam_from_world, case.scene.channels)
    found, shape = filled(render), (3, case.camera.width * case.camera.height)
    assert set(found) == set(case.scene.channels)
    for name, values in found.items():
        assert values.shape[:2] == shape, name
        assert values.isfinite().all(), name
        assert values.dtype == case.cam_from_world.t.dtype, name
    for name in {"rgb", "alpha"} & set(found):
        assert found[name].min() >= 0
        assert found[name].max() <= 1 + 1e-6
    for name in {"depth", "expected_depth"} & set(found):
        assert found[name].ndim == 2
        assert found[name].min() >= 0
        assert (found[name] > 0).double().mean() > 0.5, "the poses of the case see the scene"
    if "normal" in found:
        length = found["normal"].norm(dim=-1)
        assert (((length - 1).abs() < 1e-3) | (length == 0)).all()


def test_only_what_is_wanted_is_rendered(case: Case) -> None:
    for name in case.scene.channels:
        assert set(filled(case.scene.render(case.camera, case.cam_from_world, (name,)))) == {name}


def test_a_batch_of_poses_is_a_loop_over_poses(case: Case) -> None:
    together = filled(case.scene.render(case.camera, case.cam_from_world, case.scene.channels))
    for h in range(3):
        alone = filled(case.scene.render(case.camera, case.cam_from_world[h : h + 1], case.scene.channels))
        for name, values in alone.items():
            torch.testing.assert_close(together[name][h : h + 1], values, atol=1e-6, rtol=1e-6, msg=name)


def test_some_pixels_are_those_of_the_whole_image(case: Case) -> None:
    pixels = case.camera.pixels(dtype=case.cam_from_world.t.dtype)
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))[:50]
    whole = filled(case.scene.render(case.camera, case.cam_from_world, case.scene.channels))
    some = filled(case.scene.render(case.camera, case.cam_from_world, case.scene.channels, pixels[order]))
    for name, values in some.items():
        torch.testing.assert_close(values, whole[name][:, order], atol=1e-6, rtol=1e-6, msg=name)


def test_no_pixels_is_an_empty_render(case: Case) -> None:
    rgb = case.scene.render(case.camera, case.cam_from_world, ("rgb",), torch.zeros(0, 2)).rgb
    assert rgb is not None
    assert rgb.shape == (3, 0, 3)


def test_the_same_question_has_the_same_answer(case: Case) -> None:
    one, again = (case.scene.render(case.camera, case.cam_from_world, case.scene.channels) for _ in range(2))
    for name, values in filled(one).items():
        assert torch.equal(values, getattr(again, name)), name


def test_another_intrinsics_scale_shows_the_same_picture(case: Case) -> None:
    """The centre pixel of a 3×3 camera at a third of the size looks along the same ray."""
    if not case.points:
        pytest.skip("a pixel of another size has another mean")
    third = case.camera.rescale(case.camera.width * 3, case.camera.height * 3)
    pixels = case.camera.pixels(dtype=case.cam_from_world.t.dtype)
    one = case.scene.render(case.camera, case.cam_from_world, ("rgb",), pixels).rgb
    other = case.scene.render(third, case.cam_from_world, ("rgb",), 3 * pixels).rgb
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 48), (32, 24), (16, 12), (23, 17)])
def test_observe_gives_the_photo_at_the_cameras_size(case: Case, size: tuple[int, int]) -> None:
    camera = case.photo.known_camera().rescale(*size)
    seen = case.scene.observe(case.photo, camera)
    shown = case.scene.render(camera, case.cam_from_world[:1].float(), ("rgb",))
    assert seen.rgb is not None
    assert seen.rgb.shape == shown.rgb.shape  # type: ignore[union-attr]
    mean = case.photo.image.mean((0, 1))
    torch.testing.assert_close(seen.rgb.mean((0, 1)), mean, atol=1e-5, rtol=0)
    if size == (case.photo.image.shape[1], case.photo.image.shape[0]):
        torch.testing.assert_close(seen.rgb[0], case.photo.image.reshape(-1, 3))


def test_level_of_detail_is_a_scene_that_shows_much_the_same(case: Case) -> None:
    coarse = case.scene.lod(case.camera.pixel_rad)
    assert coarse.channels == case.scene.channels
    assert coarse.code_dim == case.scene.code_dim
    assert torch.equal(coarse.bounds, case.scene.bounds)
    one = case.scene.render(case.camera, case.cam_from_world).rgb
    other = coarse.render(case.camera, case.cam_from_world).rgb
    assert (one - other).abs().mean() < 0.08  # type: ignore[operator]


def test_bounds_are_a_box_and_the_cameras_look_into_it(case: Case) -> None:
    low, high = case.scene.bounds
    assert (low < high).all()
    middle = case.scene.bounds.mean(0).to(case.cam_from_world.t)
    assert (case.cam_from_world.apply(middle.expand(3, 1, 3))[..., 2] > 0).any()


def test_derivative_by_the_pose_equals_central_differences(case: Case) -> None:
    pixels = case.camera.pixels(dtype=case.cam_from_world.t.dtype)[::3]
    jacobian = sensitivity(case.scene, case.camera, case.cam_from_world, pixels).jacobian
    for k in range(6):
        move = case.step * torch.eye(6, dtype=pixels.dtype)[k].expand(3, 6)
        up = case.scene.render(case.camera, case.cam_from_world.retract(move), ("rgb",), pixels).rgb
        down = case.scene.render(case.camera, case.cam_from_world.retract(-move), ("rgb",), pixels).rgb
        numeric = (up - down) / (2 * case.step)  # type: ignore[operator]
        assert numeric.abs().mean() > 0.01, "a picture that does not change tests nothing"
        wrong = (jacobian[..., k] - numeric).abs() > case.tolerance * (numeric.abs() + numeric.abs().median())
        assert 1 - wrong.any(-1).double().mean() >= case.agreement, f"column {k}"


def test_gradients_reach_the_pose(case: Case) -> None:
    if not case.differentiable:
        pytest.skip("this scene gives its derivatives by ray_jacobian or linearize only")
    pixels = case.camera.pixels(dtype=case.cam_from_world.t.dtype)[::3]
    delta = torch.zeros(3, 6, dtype=pixels.dtype, requires_grad=True)
    rgb = case.scene.render(case.camera, case.cam_from_world.retract(delta), ("rgb",), pixels).rgb
    assert rgb is not None
    weight = torch.randn(rgb.shape, generator=torch.Generator().manual_seed(0), dtype=pixels.dtype)
    (gradient,) = torch.autograd.grad((rgb * weight).sum(), delta)
    jacobian = sensitivity(case.scene, case.camera, case.cam_from_world, pixels).jacobian
    torch.testing.assert_close(gradient, torch.einsum("hncp,hnc->hp", jacobian, weight), rtol=1e-3, atol=1e-3)


def test_ray_derivatives_along_the_ray_do_not_matter_and_shapes_hold(case: Case) -> None:
    if not hasattr(case.scene, "ray_jacobian"):
        pytest.skip("not a RayScene")
    directions = case.camera.rays(case.camera.pixels(dtype=case.cam_from_world.t.dtype)) @ case.cam_from_world.R[0]
    origins = case.cam_from_world.center[:1].expand_as(directions)
    colour, by_origin, by_direction = case.scene.ray_jacobian(origins, directions)
    n = len(directions)
    assert (colour.shape, by_origin.shape, by_direction.shape) == ((n, 3), (n, 3, 3), (n, 3, 3))
    assert all(x.isfinite().all() for x in (colour, by_origin, by_direction))
    rendered = case.scene.render(case.camera, case.cam_from_world[:1]).rgb
    torch.testing.assert_close(colour, rendered[0], atol=1e-5, rtol=1e-5)  # type: ignore[index]


def test_nonsense_is_refused_by_name(case: Case) -> None:
    with pytest.raises(ResectError, match="colour"):
        case.scene.render(case.camera, case.cam_from_world, ("colour",))  # type: ignore[arg-type]
    missing = [name for name in get_args(Channel) if name not in case.scene.channels]
    for name in missing:
        with pytest.raises(ResectError, match=name):
            case.scene.render(case.camera, case.cam_from_world, (name,))
    if case.scene.code_dim == 0:
        with pytest.raises(ResectError, match="code"):
            case.scene.render(case.camera, case.cam_from_world, code=torch.zeros(3, 4))


def test_a_pose_far_away_and_a_pose_of_nans_do_not_crash(case: Case) -> None:
    pose = case.cam_from_world[:1]
    away = replace(pose, t=pose.t + 1e6)
    rgb = case.scene.render(case.camera, away).rgb
    assert rgb is not None
    assert rgb.isfinite().all()
    case.scene.render(case.camera, replace(pose, t=pose.t * float("nan")))
