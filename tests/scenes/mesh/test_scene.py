"""The mesh as a scene: what contract tests do not ask."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from tests.scenes.mesh.solids import ball, ball_and_box, ring, views

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt
from resect.refine.linearize import channel_of
from resect.refine.objectives import Difference
from resect.refine.robust import Robust
from resect.refine.rows import photometric
from resect.refine.view import Meter, View
from resect.scenes.mesh.detail import clustered
from resect.scenes.mesh.scene import MeshScene
from resect.types import Channel, Photo, Target

CAMERA = Camera.from_fov(0.7, 48, 40)


def view_of(scene: MeshScene, truth: SE3, channel: Channel) -> View:
    observed = channel_of(scene.render(CAMERA, truth, (channel,)), channel)[0]
    return View(scene, CAMERA, observed, torch.ones(len(observed)), channel, Meter(), len(observed))


@pytest.mark.parametrize("channel", ["alpha", "rgb"])
def test_levenberg_marquardt_finds_the_pose_from_a_mask_or_a_photo(channel: Channel) -> None:
    """From 8° and a tenth of the size: two solids joined, whose outline leaves no freedom."""
    scene = MeshScene(ball_and_box(), background=(0.1, 0.1, 0.1))
    truth, generator = views(1, distance=2.2, seed=5), torch.Generator().manual_seed(0)
    axis = torch.nn.functional.normalize(torch.randn(6, 2, 3, generator=generator, dtype=torch.float64), dim=-1)
    delta = torch.cat([0.1 * axis[:, 0], 0.14 * axis[:, 1]], -1)
    many = SE3(truth.R.expand(6, 3, 3), truth.t.expand(6, 3))
    start = many.retract(delta, about="world")
    settings = LMSettings(steps=30, policy="decrease", trust=0.2)
    system = photometric(view_of(scene, truth, channel), Difference(channel), Robust("l2"))
    end = levenberg_marquardt(system, start, settings, length=2.2).cam_from_world
    error = (end @ many.inverse()).log()
    angle, shift = error[:, 3:].norm(dim=-1).rad2deg(), (end.center - many.center).norm(dim=-1)
    assert int(((angle < 0.02) & (shift < 1e-3)).sum()) >= 5, (angle, shift)


def test_less_memory_gives_the_same() -> None:
    poses, want = views(7), ("rgb", "alpha", "depth", "normal")
    one = MeshScene(ring()).render(CAMERA, poses, want)  # type: ignore[arg-type]
    other = replace(MeshScene(ring()), max_samples=5000).render(CAMERA, poses, want)  # type: ignore[arg-type]
    for name in want:
        torch.testing.assert_close(getattr(one, name), getattr(other, name))


def test_the_poses_dtype_is_kept_and_float32_is_close() -> None:
    poses = views(3)
    one = MeshScene(ball()).linearize(CAMERA, poses, None, "rgb")
    other = MeshScene(ball()).linearize(CAMERA, poses.float(), None, "rgb")
    for a, b in zip(one, other, strict=True):
        assert b.dtype == torch.float32
        assert float((a - b).norm() / a.norm()) < 2e-3


def test_gradients_of_every_channel_reach_rotation_and_translation() -> None:
    poses = views(2)
    for channel in ("rgb", "alpha", "depth"):
        scene = MeshScene(ring())
        delta = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
        shown = channel_of(scene.render(CAMERA, poses.retract(delta), (channel,)), channel)  # type: ignore[arg-type]
        weight = torch.randn(shown.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        (gradient,) = torch.autograd.grad((weight * shown).sum(), delta)
        columns = scene.linearize(CAMERA, poses, None, channel)[1]  # type: ignore[arg-type]
        torch.testing.assert_close(gradient, torch.einsum("hnc,hncp->hp", weight, columns))


def test_the_photo_of_an_object_brings_its_mask_and_depth() -> None:
    image, mask = torch.rand(40, 48, 3), torch.zeros(40, 48, dtype=torch.bool)
    mask[10:20, 12:30] = True
    depth = torch.where(mask, 2.0, 0.0)
    photo = Photo("a", image, CAMERA, target=Target("1", mask=mask), depth=depth)
    seen = MeshScene(ball()).observe(photo, CAMERA.rescale(24, 20))
    assert seen.alpha is not None
    assert seen.depth is not None
    assert float(seen.alpha.sum()) == pytest.approx(10 * 18 / 4)
    assert set(seen.depth.flatten().tolist()) == {0.0, 2.0}
    see_through = Photo("b", torch.ones(4, 4, 3), alpha=torch.zeros(4, 4))
    grey = MeshScene(ball(), background=(0.5, 0.5, 0.5)).observe(see_through, Camera.from_fov(1.0, 4, 4)).rgb
    torch.testing.assert_close(grey, torch.full((1, 16, 3), 0.5))


def test_bounds_are_those_of_what_is_seen() -> None:
    spare = replace(ball(), vertices=torch.cat([ball().vertices, torch.full((1, 3), 9.0).double()]), colors=None)
    torch.testing.assert_close(MeshScene(spare).bounds, ball().bounds)


@pytest.mark.parametrize(
    ("mesh", "words"),
    [
        (Mesh(torch.zeros(3, 3), torch.zeros(0, 3, dtype=torch.long)), "faces"),
        (Mesh(torch.full((3, 3), torch.nan), torch.tensor([[0, 1, 2]])), "finite"),
        (Mesh(torch.zeros(3, 3), torch.tensor([[0, 1, 3]])), "0 to 2"),
    ],
    ids=["empty", "nan", "index"],
)
def test_a_mesh_that_cannot_be_seen_is_refused(mesh: Mesh, words: str) -> None:
    with pytest.raises(ResectError, match=words):
        MeshScene(mesh).render(CAMERA, views(1))


def test_level_of_detail_keeps_the_picture_with_far_fewer_faces() -> None:
    dense, small = ball(5), Camera.from_fov(0.7, 24, 20)
    scene = MeshScene(dense)
    assert scene.lod(small.pixel_rad) is scene, "without a distance"
    assert scene.lod(1e-4, 1.8) is scene
    coarse = scene.lod(small.pixel_rad, 1.8)
    assert coarse is scene.lod(small.pixel_rad, 1.8)
    assert len(coarse.mesh.faces) < 0.3 * len(dense.faces)
    assert torch.equal(coarse.bounds, scene.bounds)
    one, other = (s.render(small, views(3), ("rgb", "alpha")) for s in (scene, coarse))
    assert float((one.alpha - other.alpha).abs().mean()) < 0.01  # type: ignore[operator]
    assert float((one.rgb - other.rgb).abs().mean()) < 0.01  # type: ignore[operator]


def test_clusters_keep_open_borders_colours_and_units() -> None:
    mesh = replace(ring(), normals=ring().vertex_normals(), meters_per_unit=0.001)
    fewer = clustered(mesh, 0.1)
    assert fewer.meters_per_unit == 0.001
    assert fewer.colors is not None
    assert fewer.normals is not None
    near = torch.cdist(fewer.vertices, mesh.vertices).amin(1)
    assert float(near.max()) < 0.1 * 3**0.5
    ordered = fewer.faces.sort(1).values
    assert len(ordered.unique(dim=0)) == len(ordered)
    assert bool((ordered.diff(dim=1) > 0).all())


def test_normals_have_no_derivative() -> None:
    with pytest.raises(ResectError, match="normal"):
        MeshScene(ball()).linearize(CAMERA, views(1), None, "normal")


_SCRIPT = """
import sys
sys.modules["numba"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "numba" else found(name, *rest)
import torch
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.solids import icosphere
from resect.scenes.mesh.scene import MeshScene
pose = look_at(torch.tensor([[0.0, 0.0, -2.0]]), torch.zeros(1, 3))
values, columns = MeshScene(icosphere(0.5, 1)).linearize(Camera.from_fov(0.8, 16, 12), pose, None, "alpha")
assert 0 < float(values.mean()) < 1 and float(columns.abs().max()) > 0
assert not [name for name in sys.modules if name.startswith("numba.")]
"""


def test_everything_works_without_numba() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_opacity_is_linearized_as_a_mean_over_pixels_whatever_is_rendered() -> None:
    hard, soft = MeshScene(ring(), antialias=False), MeshScene(ring())
    one, other = (scene.linearize(CAMERA, views(2), None, "alpha") for scene in (hard, soft))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert bool(hard.render(CAMERA, views(2), ("alpha",)).alpha.frac().eq(0).all())  # type: ignore[union-attr]
