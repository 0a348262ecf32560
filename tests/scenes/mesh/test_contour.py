"""Coverage and its derivative along contours against exact references."""

import math

import pytest
import torch
from tests.scenes.mesh.silhouette_reference import coverage
from tests.scenes.mesh.solids import ball, ball_and_box, coloured, joined, ring, views
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.solids import box, cube, torus
from resect.scenes.mesh.contour import _area_beyond
from resect.scenes.mesh.scene import MeshScene

CAMERA = Camera.from_fov(0.75, 24, 20)
PATHS = pytest.mark.parametrize("fused", [True, False], ids=["fused", "torch"])
MESHES = pytest.mark.parametrize(
    "mesh",
    [cube(0.6, dtype=torch.float64), ball(1), coloured(torus(0.35, 0.15, 8, 5, dtype=torch.float64)), ball_and_box(0)],
    ids=["cube", "ball", "ring", "two"],
)


def moved(pose: SE3, k: int, step: float) -> SE3:
    return pose.retract(step * torch.eye(6, dtype=torch.float64)[k].expand(len(pose), 6))


@PATHS
@MESHES
def test_opacity_is_the_exact_coverage_of_the_pixel(mesh: Mesh, fused: bool) -> None:
    poses = views(3)
    alpha = MeshScene(mesh, fused=fused).render(CAMERA, poses, ("alpha",)).alpha
    assert alpha is not None
    expected = torch.stack([coverage(mesh, CAMERA, poses[h]) for h in range(3)])
    assert ((expected > 0.01) & (expected < 0.99)).sum() > 50
    torch.testing.assert_close(alpha, expected, rtol=0, atol=1e-9)


@MESHES
def test_the_silhouettes_gradient_is_that_of_the_exact_coverage(mesh: Mesh) -> None:
    """Of a smooth weighting of the picture, and pixel by pixel."""
    pose, step = views(1, seed=3), 1e-5
    _, jacobian = MeshScene(mesh).linearize(CAMERA, pose, None, "alpha")
    x, y = (CAMERA.pixels(dtype=torch.float64) / 24).unbind(1)
    weight = 1.2 + torch.sin(5 * x + 1) * torch.cos(4 * y)
    shown = [torch.stack([coverage(mesh, CAMERA, moved(pose, k, s)[0]) for k in range(6)], -1) for s in (step, -step)]
    numeric = (shown[0] - shown[1]) / (2 * step)
    expected, got = weight @ numeric, weight @ jacobian[0, :, 0]
    torch.testing.assert_close(got, expected, rtol=0.001, atol=0.001 * float(expected.norm()))
    assert float((jacobian[0, :, 0] - numeric).norm() / numeric.norm()) < 0.001


@MESHES
def test_both_paths_agree(mesh: Mesh) -> None:
    poses = views(4)
    some = CAMERA.pixels(dtype=torch.float64)[torch.randperm(480, generator=torch.Generator().manual_seed(0))[:200]]
    for pixels in (None, some, some + 0.3):
        for channel in ("alpha", "rgb"):
            one, other = (MeshScene(mesh, fused=f).linearize(CAMERA, poses, pixels, channel) for f in (True, False))  # type: ignore[arg-type]
            for a, b in zip(one, other, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_the_area_beyond_a_piece_is_that_of_the_polygon() -> None:
    """Vertical, slanted and corner-cutting pieces whose areas are known."""
    p = torch.tensor([[0.25, -0.5], [-0.5, -0.5], [0.0, 0.5], [0.5, 0.2]]).double()
    q = torch.tensor([[0.25, 0.5], [0.5, 0.5], [0.5, 0.0], [0.2, 0.5]]).double()
    expected = torch.tensor([0.25, 0.5, 0.125, 0.045]).double()
    torch.testing.assert_close(_area_beyond(p, q), expected)
    torch.testing.assert_close(_area_beyond(q, p), expected)


def test_a_thin_rod_between_the_pixels_centres_is_seen() -> None:
    rod = box((0.01, 2.0, 0.01), dtype=torch.float64)
    camera = Camera(20.0, 20.0, 8.0, 8.0, 16, 16)  # 0.1 px wide, on the border of two pixels
    pose = SE3(torch.eye(3).double()[None], torch.tensor([[0.0, 0.0, 2.0]]).double())
    alpha = MeshScene(rod).render(camera, pose, ("alpha",)).alpha
    hard = MeshScene(rod, antialias=False).render(camera, pose, ("alpha",)).alpha
    assert alpha is not None
    assert hard is not None
    assert float(hard.sum()) == 0
    width = 20 * 0.01 / 1.995
    torch.testing.assert_close(alpha.view(16, 16)[8], torch.tensor([0.0] * 7 + [width / 2] * 2 + [0.0] * 7).double())


def test_an_edge_in_front_of_the_mesh_itself_has_a_derivative_in_colour_alone() -> None:
    """A small box before a large one: no silhouette moves when only the small one's outline does."""
    both = joined(box((2.0, 2.0, 0.2), dtype=torch.float64), box((0.5, 0.5, 0.2), dtype=torch.float64), (0, 0, -0.6))
    colors = torch.cat([torch.full((8, 3), 0.2), torch.full((8, 3), 0.9)]).double()
    mesh = Mesh(both.vertices, both.faces, colors=colors)
    camera = Camera(20.0, 20.0, 8.3, 7.9, 16, 16)
    pose = SE3(torch.eye(3).double()[None], torch.tensor([[0.01, 0.02, 3.0]]).double())
    alpha, by_pose = MeshScene(mesh).linearize(camera, pose, None, "alpha")
    inner = camera.pixels(dtype=torch.float64)
    inner = ((inner - torch.tensor([8.3, 7.9])).abs() < 5).all(1)
    assert bool((alpha[0, inner] == 1).all())
    assert float(by_pose[0, inner].abs().max()) < 1e-9
    by_pose = MeshScene(mesh).linearize(camera, pose, None, "rgb")[1]
    width, jump, speed = 0.5 * 20 / 2.3, 0.7, 20 / 2.3  # of the front face
    assert float(by_pose[0, inner, 0, 0].clamp_min(0).sum()) == pytest.approx(width * jump * speed, rel=1e-6)


def test_a_single_sheet_and_vertices_repeated_along_seams() -> None:
    """A border edge is a contour; an edge whose vertices a file repeats is none."""
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]).double()
    shared = Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]))
    apart = Mesh(corners[shared.faces.flatten()], torch.arange(6).view(2, 3))
    pose = views(2, distance=3.0)
    one, other = (MeshScene(m).linearize(CAMERA, pose, None, "alpha") for m in (shared, apart))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(one[0][0, :, 0], coverage(shared, CAMERA, pose[0]))


def doubled(mesh: Mesh) -> Mesh:
    """Every face once for each side, with vertices of its own, as CAD models have them."""
    count = len(mesh.vertices)
    return Mesh(mesh.vertices.repeat(2, 1), torch.cat([mesh.faces, mesh.faces.flip(1) + count]))


def fins() -> Mesh:
    """Three sheets that meet along one edge."""
    corners = [[0.0, -0.4, 0.0], [0.0, 0.4, 0.0]]
    for turn in (0.3, 2.2, 4.4):
        x, z = 0.5 * math.cos(turn), 0.5 * math.sin(turn)
        corners += [[x, -0.4, z], [x, 0.4, z]]
    faces = [[[0, 1, k], [1, k + 1, k]] for k in (2, 4, 6)]
    return Mesh(torch.tensor(corners).double(), torch.tensor(faces).reshape(-1, 3))


@PATHS
@pytest.mark.parametrize("mesh", [doubled(ball(1)), doubled(fins()), fins()], ids=["ball", "fins twice", "fins"])
def test_an_edge_counts_once_however_many_faces_meet_there(mesh: Mesh, fused: bool) -> None:
    pose = views(1)
    alpha, jacobian = MeshScene(mesh, fused=fused).linearize(CAMERA, pose, None, "alpha")
    torch.testing.assert_close(alpha[0, :, 0], coverage(mesh, CAMERA, pose[0]), rtol=0, atol=1e-9)
    for k in (0, 4):
        step = 1e-5
        numeric = (
            coverage(mesh, CAMERA, moved(pose, k, step)[0]) - coverage(mesh, CAMERA, moved(pose, k, -step)[0])
        ) / (2 * step)
        assert float((jacobian[0, :, 0, k] - numeric).norm() / numeric.norm()) < 0.001


def test_contours_that_cross_the_plane_of_the_camera() -> None:
    """Standing on a large floor: the horizon of its far edge is exact, what lies behind does not matter."""
    floor = Mesh(
        torch.tensor([[-9.0, 1, -9], [9, 1, -9], [9, 1, 6.07], [-9, 1, 6.07]], dtype=torch.float64),
        torch.tensor([[0, 2, 1], [0, 3, 2]]),
    )
    camera = Camera(20.0, 20.0, 8.0, 8.0, 16, 16)
    for fused in (True, False):
        scene = MeshScene(floor, fused=fused)
        alpha, by_pose = scene.linearize(camera, SE3.identity(1, dtype=torch.float64), None, "alpha")
        horizon = 8 + 20 / 6.07
        below = (torch.arange(1, 17).double() - horizon).clamp(0, 1)
        torch.testing.assert_close(alpha.view(16, 16), below[:, None].expand(16, 16), atol=1e-9, rtol=0)
        falls = by_pose[0, :, 0, 1].view(16, 16)[int(horizon)]
        torch.testing.assert_close(falls, torch.full_like(falls, -20 / 6.07), atol=1e-6, rtol=1e-6)


def test_a_lens_bends_contours() -> None:
    """Coverage under distortion against many samples a pixel."""
    camera = Camera(26.0, 27.0, 12.0, 10.0, 24, 20, "opencv", (-0.2, 0.05, 0.003, 0.001))
    fine = camera.rescale(24 * 16, 20 * 16)
    for mesh in (coloured(cube(0.8, dtype=torch.float64)), ring()):
        alpha = MeshScene(mesh).render(camera, views(2), ("alpha",)).alpha
        hard = MeshScene(mesh, antialias=False).render(fine, views(2), ("alpha",)).alpha
        assert alpha is not None
        assert hard is not None
        expected = hard.view(2, 20, 16, 24, 16).mean((2, 4)).flatten(1)
        assert float((alpha - expected).abs().max()) < 0.04
        assert float((alpha - expected).abs().mean()) < 1e-3


def test_pieces_do_not_depend_on_what_else_is_rendered() -> None:
    poses = views(5)
    scene = MeshScene(ring(), max_samples=1)
    alone: list[Tensor] = [scene.linearize(CAMERA, poses[h : h + 1], None, "alpha")[1] for h in range(5)]
    torch.testing.assert_close(MeshScene(ring()).linearize(CAMERA, poses, None, "alpha")[1], torch.cat(alone))
