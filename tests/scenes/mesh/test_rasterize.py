"""The z-buffer against a brute force: every ray with every face."""

from dataclasses import replace

import pytest
import torch
from tests.scenes.mesh.solids import ball, ball_and_box, coloured, joined, nearest_face, ring, views
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.solids import box
from resect.scenes.mesh.look import Look, Settings
from resect.scenes.mesh.rasterize import Depths, rasterize
from resect.scenes.mesh.samples import Samples, expand
from resect.scenes.mesh.surface import Surface

CAMERA = Camera.from_fov(0.7, 40, 30)
PATHS = pytest.mark.parametrize("fused", [True, False], ids=["fused", "torch"])


def found(
    mesh: Mesh, camera: Camera, cam_from_world: SE3, pixels: Tensor | None = None, **settings: object
) -> tuple[Tensor, Tensor, Tensor]:
    """(H, N) face, depth, and (H, N, 3) barycentric coordinates."""
    look = Look.at(Surface.of(mesh, torch.float64), camera, cam_from_world, pixels, Settings(**settings))  # type: ignore[arg-type]
    h = len(cam_from_world)
    depth = torch.where(look.hits.face >= 0, 1 / look.hits.inverse_depth, 0.0)
    return look.hits.face.view(h, -1), depth.view(h, -1), look.hits.weight.view(h, -1, 3)


@PATHS
@pytest.mark.parametrize("mesh", [ball(), ring(), ball_and_box()], ids=["ball", "ring", "two"])
def test_every_pixel_shows_the_face_of_the_brute_force(mesh: Mesh, fused: bool) -> None:
    poses = views(5)
    face, depth, weight = found(mesh, CAMERA, poses, fused=fused)
    expected, expected_depth = nearest_face(mesh, CAMERA, poses)
    assert torch.equal(face.long(), expected)
    assert 0.1 < (face >= 0).double().mean() < 0.9
    torch.testing.assert_close(depth, expected_depth, rtol=1e-9, atol=1e-9)
    hit = (face >= 0).nonzero()
    corners = mesh.vertices.double()[mesh.faces[face[tuple(hit.T)].long()]]
    point = (weight[tuple(hit.T)][..., None] * corners).sum(1)
    pixel = CAMERA.project((poses.R[hit[:, 0]] @ point[..., None])[..., 0] + poses.t[hit[:, 0]])[0]
    torch.testing.assert_close(pixel, CAMERA.pixels(dtype=torch.float64)[hit[:, 1]], rtol=0, atol=1e-6)


@PATHS
def test_faces_that_cross_the_plane_of_the_camera_are_seen_as_they_are(fused: bool) -> None:
    """From inside a box, and beside a wall that passes the camera."""
    room = box((2.0, 1.5, 3.0), dtype=torch.float64)
    poses = views(6, distance=0.3)
    face, depth, _ = found(room, CAMERA, poses, fused=fused)
    expected, expected_depth = nearest_face(room, CAMERA, poses)
    assert bool((face >= 0).all())
    assert torch.equal(face.long(), expected)
    torch.testing.assert_close(depth, expected_depth, rtol=1e-9, atol=1e-9)


@PATHS
def test_faces_are_seen_from_both_sides(fused: bool) -> None:
    sheet = Mesh(torch.tensor([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]]).double(), torch.tensor([[0, 1, 2]]))
    turned = replace(sheet, faces=sheet.faces.flip(1))
    here = SE3.identity(1, dtype=torch.float64)
    one, other = (found(m, CAMERA, here, fused=fused)[0] for m in (sheet, turned))
    assert torch.equal(one, other)
    assert bool((one >= 0).any())


@PATHS
def test_leaving_out_what_is_seen_from_behind_changes_nothing_for_a_closed_mesh(fused: bool) -> None:
    surface, poses = Surface.of(ring(), torch.float64), views(4)
    assert surface.closed
    assert not Surface.of(replace(ring(), faces=ring().faces[1:]), torch.float64).closed
    assert not Surface.of(replace(ring(), faces=ring().faces.flip(1)), torch.float64).closed, "inside out"
    look = Look.at(surface, CAMERA, poses, None, Settings(fused=fused))
    assert bool(look.cull.all())
    every = rasterize(look.points, surface.faces, look.samples, cull=torch.zeros(4, dtype=torch.bool), fused=fused)
    assert torch.equal(look.hits.face, every.face)


@PATHS
def test_at_equal_depth_the_lowest_face_wins(fused: bool) -> None:
    mesh = ball(1)
    twice = replace(mesh, faces=torch.cat([mesh.faces, mesh.faces]))
    face = found(twice, CAMERA, views(3), fused=fused)[0]
    assert int(face.max()) < len(mesh.faces)
    assert torch.equal(face, found(mesh, CAMERA, views(3), fused=fused)[0])


@PATHS
def test_only_depths_from_near_to_far_are_seen(fused: bool) -> None:
    poses = views(2)
    whole = found(ball(), CAMERA, poses, fused=fused)[1]
    middle = float(whole[whole > 0].median())
    behind = found(ball(), CAMERA, poses, fused=fused, depths=Depths(near=middle))[1]
    before = found(ball(), CAMERA, poses, fused=fused, depths=Depths(far=middle))[1]
    assert float(behind[behind > 0].min()) >= middle * (1 - 1e-12)
    kept = (whole > 0) & (whole <= middle)
    torch.testing.assert_close(before[kept], whole[kept])
    assert bool((before[~kept] == 0).all())


def test_parts_of_any_size_give_the_same() -> None:
    surface, poses = Surface.of(ball_and_box(), torch.float64), views(3)
    look = Look.at(surface, CAMERA, poses, None, Settings(fused=False))
    few = rasterize(look.points, surface.faces, look.samples, cull=look.cull, max_fragments=200, fused=False)
    for a, b in zip((look.hits.face, look.hits.inverse_depth), (few.face, few.inverse_depth), strict=True):
        assert torch.equal(a, b)


@PATHS
def test_any_points_of_the_image_can_be_asked_for(fused: bool) -> None:
    pixels = torch.rand(300, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 30
    face = found(ring(), CAMERA, views(3), pixels, fused=fused)[0]
    assert torch.equal(face.long(), nearest_face(ring(), CAMERA, views(3), pixels)[0])


@PATHS
@pytest.mark.parametrize(
    "camera",
    [
        Camera(40.0, 42.0, 20.5, 14.0, 40, 30, "opencv", (-0.25, 0.08, 0.002, -0.001)),
        Camera(25.0, 25.0, 20.0, 15.0, 40, 30, "fisheye", (0.05, -0.01)),
        CAMERA.crop(-7, 5, 33, 21),
    ],
    ids=["lens", "fisheye", "crop"],
)
def test_any_camera(camera: Camera, fused: bool) -> None:
    face, depth, _ = found(ball_and_box(), camera, views(3), fused=fused)
    expected, expected_depth = nearest_face(ball_and_box(), camera, views(3))
    assert torch.equal(face.long(), expected)
    torch.testing.assert_close(depth, expected_depth, rtol=1e-6, atol=1e-9)


def test_a_crop_is_a_part_of_the_image() -> None:
    whole = found(ring(), CAMERA, views(2))[0].view(2, 30, 40)
    part = found(ring(), CAMERA.crop(9, 4, 20, 17), views(2))[0].view(2, 17, 20)
    assert torch.equal(part, whole[:, 4:21, 9:29])


@PATHS
def test_no_cracks_between_faces_that_share_an_edge(fused: bool) -> None:
    """Pixel centres exactly on the diagonals and borders of a sheet cut into a grid of triangles."""
    n = 8
    grid = torch.cartesian_prod(torch.arange(n + 1.0), torch.arange(n + 1.0)).double()
    vertices = torch.cat([grid, torch.ones(len(grid), 1)], 1)
    i, j = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    a = (i * (n + 1) + j).flatten()
    faces = torch.cat([torch.stack([a, a + 1, a + n + 2], 1), torch.stack([a, a + n + 2, a + n + 1], 1)])
    camera = Camera(1.0, 1.0, 0.0, 0.0, n, n)
    pixels = torch.cartesian_prod(torch.arange(0, n + 0.25, 0.25), torch.arange(0, n + 0.25, 0.25)).double()
    face = found(Mesh(vertices, faces), camera, SE3.identity(1, dtype=torch.float64), pixels, fused=fused)[0]
    assert bool((face >= 0).all())


@PATHS
def test_a_pose_of_nans_and_a_mesh_behind_the_camera_hit_nothing(fused: bool) -> None:
    pose = views(1)
    behind = replace(pose, t=-pose.t)
    for bad in (replace(pose, t=pose.t * torch.nan), behind):
        assert bool((found(ball(), CAMERA, bad, fused=fused)[0] == -1).all())


def test_slivers_and_faces_without_area_do_no_harm() -> None:
    mesh = ball()
    line, point = torch.tensor([[0, 1, 1]]), torch.tensor([[3, 3, 3]])
    bad = replace(mesh, faces=torch.cat([mesh.faces, line, point]))
    assert torch.equal(found(bad, CAMERA, views(2))[0], found(mesh, CAMERA, views(2))[0])


def test_samples_are_found_where_they_are() -> None:
    points = torch.rand(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * torch.tensor(
        [9.0, 4.0]
    )
    samples = Samples.of(points)
    low = torch.tensor([[1.0, 1.0], [-5.0, 2.0], [20.0, 0.0]]).double()
    high = torch.tensor([[2.0, 3.5], [50.0, 2.5], [21.0, 9.0]]).double()
    box_, first, count = samples.near(torch.zeros(3, dtype=torch.long), low, high)
    run, step = expand(count)
    seen = {(int(b), int(samples.order[i])) for b, i in zip(box_[run], first[run] + step, strict=True)}  # type: ignore[index]
    for k in range(3):
        inside = ((points >= low[k]) & (points <= high[k])).all(1).nonzero()[:, 0]
        assert {(k, int(i)) for i in inside} <= seen
    assert len([s for s in seen if s[0] == 0]) < 250
    assert not [s for s in seen if s[0] == 2]


def test_both_ways_of_sorting_give_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    points, pose = torch.rand(200, 2, generator=generator, dtype=torch.float64), torch.arange(200) // 70
    one, other = (Samples.of_poses(points, pose, 4, 50, fused=fused) for fused in (True, False))
    for name in ("points", "order", "start"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_coloured_and_joined_are_what_the_tests_think() -> None:
    both = coloured(joined(ball(0), ball(0), (2.0, 0.0, 0.0)))
    assert len(both.faces) == 40
    assert int(both.faces.max()) == len(both.vertices) - 1
