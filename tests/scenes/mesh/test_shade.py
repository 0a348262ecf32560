"""Colours, textures, light, normals and depth at hits."""

from dataclasses import replace

import pytest
import torch
from tests.scenes.mesh.solids import ball, coloured, ring, views
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.mesh import Material, Mesh
from resect.geometry.se3 import SE3
from resect.scenes.mesh.scene import MeshScene
from resect.scenes.mesh.shade import Light
from resect.scenes.mesh.texture import Atlas
from resect.types import Channel

PATHS = pytest.mark.parametrize("fused", [True, False], ids=["fused", "torch"])
CAMERA = Camera.from_fov(0.6, 20, 16)


def picture(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([0.2 + 0.6 * x, 0.1 + 0.8 * y, 0.5 + 0.4 * torch.sin(5 * x + 3 * y)], -1).double()


def poster(texture: Tensor, color: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Mesh:
    """The square from (−1, −1) to (1, 1), the picture upright for a camera that looks along +z with y down."""
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]).double()
    faces = torch.tensor([[0, 2, 1], [0, 3, 2]])
    uv = torch.tensor([[0.0, 1], [1, 1], [1, 0], [0, 0]]).double()
    return Mesh(corners, faces, uv=uv, uv_faces=faces, materials=(Material(color, texture),))


def before(distance: float) -> SE3:
    return SE3(torch.eye(3).double()[None], torch.tensor([[0.0, 0.0, distance]]).double())


@PATHS
def test_a_texture_that_fills_the_image_is_the_image(fused: bool) -> None:
    """One texel a pixel, the first row at the top."""
    texture = picture(12, 16)
    camera = Camera(16.0, 12.0, 8.0, 6.0, 16, 12)
    rgb = MeshScene(poster(texture), fused=fused).render(camera, before(2.0)).rgb
    assert rgb is not None
    torch.testing.assert_close(rgb.view(12, 16, 3), texture, atol=1e-9, rtol=0)


@PATHS
def test_a_texture_far_away_is_its_average(fused: bool) -> None:
    noise = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    camera = Camera(8.0, 8.0, 4.0, 4.0, 8, 8)
    rgb = MeshScene(poster(noise), fused=fused).render(camera, before(2.0)).rgb
    assert rgb is not None
    expected = noise.view(8, 8, 8, 8, 3).mean((1, 3))
    torch.testing.assert_close(rgb.view(8, 8, 3), expected, atol=1e-6, rtol=0)


@PATHS
def test_material_colour_multiplies_the_texture_and_vertex_colours_take_precedence(fused: bool) -> None:
    mesh = poster(torch.full((4, 4, 3), 0.5).double(), (0.2, 0.4, 0.8))
    middle = CAMERA.pixels()[150:151].double()
    rgb = MeshScene(mesh, fused=fused).render(CAMERA, before(3.0), pixels=middle).rgb
    torch.testing.assert_close(rgb, torch.tensor([[[0.1, 0.2, 0.4]]]).double())
    vertex = replace(mesh, colors=torch.full((4, 3), 0.9).double())
    rgb = MeshScene(vertex, fused=fused).render(CAMERA, before(3.0), pixels=middle).rgb
    torch.testing.assert_close(rgb, torch.full((1, 1, 3), 0.9).double())


def test_faces_with_and_without_texture_in_one_mesh() -> None:
    mesh = poster(torch.full((4, 4, 3), 0.5).double())
    materials = (*mesh.materials, Material((0.9, 0.8, 0.7)), Material(texture=torch.full((2, 2, 3), 0.25).double()))
    mixed = replace(mesh, materials=materials, face_material=torch.tensor([1, 2]))
    for fused in (True, False):
        rgb = MeshScene(mixed, antialias=False, fused=fused).render(CAMERA, before(2.2)).rgb
        assert rgb is not None
        seen = {tuple(round(x, 6) for x in c) for c in rgb[0].tolist()} - {(0.0, 0.0, 0.0)}
        assert seen == {(0.9, 0.8, 0.7), (0.175, 0.175, 0.175)}


def test_the_atlas_repeats_and_its_derivative_is_that_of_the_lookup() -> None:
    atlas = Atlas.of([picture(5, 7), picture(3, 2)])
    generator = torch.Generator().manual_seed(0)
    uv = 4 * torch.rand(50, 2, generator=generator, dtype=torch.float64) - 2
    which, level = torch.arange(50) % 2, 3 * torch.rand(50, generator=generator, dtype=torch.float64)
    value, slope = atlas.look_up(which, uv, level)
    torch.testing.assert_close(value, atlas.look_up(which, uv + torch.tensor([1.0, -3.0]), level)[0])
    for k in range(2):
        move = 1e-7 * torch.eye(2, dtype=torch.float64)[k]
        numeric = (atlas.look_up(which, uv + move, level)[0] - atlas.look_up(which, uv - move, level)[0]) / 2e-7
        torch.testing.assert_close(slope[..., k], numeric, atol=1e-5, rtol=1e-5)


def numeric(scene: MeshScene, pose: SE3, channel: Channel, step: float = 1e-6) -> Tensor:
    shown = []
    for k in range(6):
        move = step * torch.eye(6, dtype=torch.float64)[k].expand(len(pose), 6)
        up, down = (getattr(scene.render(CAMERA, pose.retract(m), (channel,)), channel) for m in (move, -move))
        shown.append((up - down) / (2 * step))
    found = torch.stack(shown, -1)
    return found if found.ndim == 4 else found[:, :, None]


def smooth(mesh: Mesh) -> Mesh:
    return replace(mesh, normals=mesh.vertex_normals())


@PATHS
@pytest.mark.parametrize(
    ("mesh", "light"),
    [
        (ball(), None),
        (poster(picture(6, 5), (0.9, 0.7, 0.5)), None),
        (ring(), Light()),
        (smooth(ball()), Light()),
        (smooth(ball()), Light((0.3, 0.3, 0.3), (0.5, 0.6, 0.7), (1.0, 2.0, 0.5))),
        (poster(picture(6, 5)), Light()),
    ],
    ids=["vertex colours", "texture", "flat, head light", "smooth, head light", "smooth, sun", "texture, head light"],
)
def test_derivatives_of_colour_are_exact_on_each_face(mesh: Mesh, light: Light | None, fused: bool) -> None:
    """Up to the mip level of a texture, which is held; here it is the finest one."""
    scene, pose = MeshScene(mesh, antialias=False, light=light, fused=fused), views(2, distance=1.5)
    expected, jacobian = numeric(scene, pose, "rgb"), scene.linearize(CAMERA, pose, None, "rgb")[1]
    wrong = (jacobian - expected).abs() > 1e-3 * (1 + expected.abs())
    assert float(wrong.any(-1).any(-1).double().mean()) < 0.02  # pixels that a step carries over an edge or a texel
    assert float(expected.abs().mean()) > 0.01


@PATHS
def test_depth_and_its_derivative_on_a_tilted_plane(fused: bool) -> None:
    """z = n·c / n·r in closed form."""
    turned = before(2.0).retract(torch.tensor([[0.1, 0.2, 0.0, 0.5, -0.4, 0.3]]).double())
    scene = MeshScene(poster(picture(2, 2)), fused=fused)
    depth, jacobian = scene.linearize(CAMERA, turned, None, "depth")
    normal, rays = turned.R[0, :, 2], CAMERA.rays(CAMERA.pixels(dtype=torch.float64))
    expected = (normal @ turned.t[0]) / (rays @ normal) * rays[:, 2]
    hit = depth[0, :, 0] > 0
    assert int(hit.sum()) > 100
    torch.testing.assert_close(depth[0, hit, 0], expected[hit])
    change = numeric(scene, turned, "depth")[0, hit]
    torch.testing.assert_close(jacobian[0, hit], change, rtol=1e-4, atol=1e-4)


@PATHS
def test_normals_look_at_the_camera_and_follow_the_files_own(fused: bool) -> None:
    pose = views(1)
    flat = MeshScene(ball(), fused=fused).render(CAMERA, pose, ("normal", "depth"))
    assert flat.normal is not None
    assert flat.depth is not None
    hit = flat.depth[0] > 0
    rays = CAMERA.rays(CAMERA.pixels(dtype=torch.float64)) @ pose.R[0]
    assert bool(((flat.normal[0] * rays).sum(-1)[hit] < 0).all())
    inside_out = replace(ball(), faces=ball().faces.flip(1))
    torch.testing.assert_close(MeshScene(inside_out, fused=fused).render(CAMERA, pose, ("normal",)).normal, flat.normal)
    round_ = MeshScene(smooth(ball()), fused=fused).render(CAMERA, pose, ("normal",)).normal
    assert round_ is not None
    point = pose.center[0] + rays * (flat.depth[0] / CAMERA.rays(CAMERA.pixels(dtype=torch.float64))[:, 2])[:, None]
    along = torch.nn.functional.normalize(point[hit], dim=-1)
    assert float((round_[0, hit] - along).norm(dim=-1).max()) < 0.03
    assert float((flat.normal[0, hit] - along).norm(dim=-1).max()) > 0.05


def test_light_from_the_camera_is_brightest_where_the_surface_faces_it() -> None:
    white = replace(ball(3), colors=None)
    scene = MeshScene(white, light=Light((0.2, 0.2, 0.2), (0.8, 0.8, 0.8)), background=(1.0, 0.0, 0.0))
    rgb = scene.render(Camera.from_fov(0.8, 21, 21), views(1, distance=3.0), ("rgb",)).rgb
    assert rgb is not None
    grey = rgb[0, :, 1]
    assert float(grey.max()) == pytest.approx(0.7, abs=0.01)  # the material's own 0.7 under full light
    assert torch.equal(rgb[0, 0], torch.tensor([1.0, 0.0, 0.0]).double())


def test_colours_are_those_of_the_tests() -> None:
    assert coloured(ball(0)).colors is not None
