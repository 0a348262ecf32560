"""Several scenes in one: against one mesh of them all, and against the room."""

from dataclasses import replace

import pytest
import torch
from tests.scenes.mesh.solids import ball, ring, views

from resect.data.image import resize_area
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.solids import box
from resect.refine.linearize import channel_of
from resect.scenes.composite import Composite, Part
from resect.scenes.mesh.scene import MeshScene
from resect.scenes.room import Room
from resect.types import Photo

CAMERA = Camera.from_fov(0.9, 36, 30)
ONE = SE3.exp(torch.tensor([0.3, 0.1, -0.2, 0.4, 0.2, 0.1]).double())
OTHER = SE3.exp(torch.tensor([-0.2, 0.05, 0.1, -0.3, 0.5, 0.0]).double())
BACKGROUND = (0.2, 0.5, 0.3)


def apart() -> Composite:
    """A ball and a ring that reach into each other; each has a background of its own that must not be seen."""
    return Composite(
        (Part(MeshScene(ball(), (1.0, 0.0, 0.0)), ONE), Part(MeshScene(ring(), (0.0, 0.0, 1.0)), OTHER)), BACKGROUND
    )


def together() -> MeshScene:
    a, b = ball(), ring()
    vertices = torch.cat([ONE.apply(a.vertices), OTHER.apply(b.vertices)])
    colors = torch.cat([a.colors, b.colors])  # type: ignore[list-item]
    return MeshScene(Mesh(vertices, torch.cat([a.faces, b.faces + len(a.vertices)]), colors), BACKGROUND)


def test_parts_show_what_one_mesh_of_them_all_shows() -> None:
    want, poses = ("rgb", "alpha", "depth", "normal"), views(3)
    one, other = apart().render(CAMERA, poses, want), together().render(CAMERA, poses, want)  # type: ignore[arg-type]
    for name in want:
        a, b = getattr(one, name), getattr(other, name)
        difference = (a - b).abs().reshape(*a.shape[:2], -1).amax(-1)
        exact = (
            1.0 if name in ("depth", "normal") else 0.93
        )  # where both have edges, opacities are laid over each other
        assert float((difference < 1e-6).double().mean()) >= exact, name
        assert float(difference.mean()) < 0.01


def test_the_derivative_is_that_of_one_mesh_and_of_differences() -> None:
    poses = views(2)
    for channel in ("rgb", "alpha"):
        value, columns = apart().linearize(CAMERA, poses, None, channel)  # type: ignore[arg-type]
        shown = channel_of(apart().render(CAMERA, poses, (channel,)), channel)  # type: ignore[arg-type]
        torch.testing.assert_close(value, shown)
        expected = together().linearize(CAMERA, poses, None, channel)[1]  # type: ignore[arg-type]
        wrong = (columns - expected).abs().amax((-1, -2)) > 0.05 * expected.abs().amax()
        assert float(wrong.double().mean()) < 0.05


def test_a_mesh_in_the_room_hides_the_room_and_is_hidden_by_it() -> None:
    """A box on the way of the view is seen; one behind the wall is not."""
    pose = look_at(torch.tensor([[0.9, 0.5, 1.6]]).double(), torch.tensor([[2.2, 1.7, 0.7]]).double())
    red = MeshScene(replace(box((0.3, 0.3, 0.3), dtype=torch.float64), colors=torch.tensor([[0.9, 0, 0]] * 8).double()))
    nowhere = SE3.identity(dtype=torch.float64)
    before = replace(nowhere, t=torch.tensor([1.5, 1.06, 1.2]).double())
    behind = replace(nowhere, t=torch.tensor([9.0, 8.0, -4.0]).double())
    plain = Room().render(CAMERA, pose).rgb
    for place, seen in ((before, True), (behind, False)):
        scene = Composite((Part(Room(), nowhere), Part(red, place)))
        rgb = scene.render(CAMERA, pose).rgb
        assert rgb is not None
        assert bool((rgb[0, :, 1] < 1e-9).any()) == seen
        assert torch.allclose(rgb, plain) != seen  # type: ignore[arg-type]
    columns = Composite((Part(Room(), nowhere), Part(red, behind))).linearize(CAMERA, pose, None, "rgb")[1]
    origins, rays = pose.center.expand(1080, 3), CAMERA.rays(CAMERA.pixels(dtype=torch.float64)) @ pose.R[0]
    by_origin = Room().ray_jacobian(origins, rays)[1]
    torch.testing.assert_close(columns[0, ..., :3], -by_origin @ pose.R[0].T)


def test_gradients_reach_the_pose() -> None:
    delta = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    rgb = apart().render(CAMERA, views(2).retract(delta)).rgb
    weight = torch.randn(rgb.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)  # type: ignore[union-attr]
    (gradient,) = torch.autograd.grad((weight * rgb).sum(), delta)
    columns = apart().linearize(CAMERA, views(2), None, "rgb")[1]
    torch.testing.assert_close(gradient, torch.einsum("hnc,hncp->hp", weight, columns))


def test_the_box_around_holds_every_part() -> None:
    low, high = apart().bounds
    every = together().mesh.vertices
    assert bool((every >= low - 1e-9).all() & (every <= high + 1e-9).all())


def test_a_photo_is_laid_on_the_composites_background() -> None:
    photo = Photo("a", torch.rand(6, 8, 3), alpha=torch.zeros(6, 8))
    photo = replace(photo, image=torch.ones(6, 8, 3))
    seen = apart().observe(photo, Camera.from_fov(1.0, 4, 3))
    torch.testing.assert_close(seen.rgb, torch.tensor(BACKGROUND).expand(1, 12, 3))
    plain = Photo("b", torch.rand(6, 8, 3))
    expected = resize_area(plain.image, 4, 3).reshape(1, -1, 3)
    torch.testing.assert_close(apart().observe(plain, Camera.from_fov(1.0, 4, 3)).rgb, expected)


def test_what_cannot_be_composed_is_refused() -> None:
    with pytest.raises(ResectError, match="at least one"):
        Composite(())
    with pytest.raises(ResectError, match="single pose"):
        Composite((Part(MeshScene(ball()), SE3.identity(2)),))
    with pytest.raises(ResectError, match="rgb or alpha"):
        apart().linearize(CAMERA, views(1), None, "depth")
