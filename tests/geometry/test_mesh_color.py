from dataclasses import replace

import pytest
import torch

from resect.geometry import solids
from resect.geometry.mesh import Material, Mesh
from resect.geometry.mesh_color import sample_texture, surface_colors, vertex_colors


def ramp(height: int, width: int) -> torch.Tensor:
    """Red grows to the right, green upwards: at texel centres they are u and v."""
    u = (torch.arange(width) + 0.5) / width
    v = 1 - (torch.arange(height) + 0.5) / height
    return torch.stack([u.expand(height, width), v[:, None].expand(height, width), torch.zeros(height, width)], -1)


def test_a_ramp_is_read_off_exactly_between_its_texel_centres() -> None:
    uv = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    found = sample_texture(ramp(8, 16), uv)
    torch.testing.assert_close(found[:, :2], uv)


def test_textures_repeat() -> None:
    uv = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    texture = torch.rand(5, 7, 3, generator=torch.Generator().manual_seed(1))
    shifted = uv + torch.tensor([3.0, -2.0])
    torch.testing.assert_close(sample_texture(texture, shifted), sample_texture(texture, uv), atol=1e-4, rtol=0)


def test_the_centre_of_a_texel_has_its_colour() -> None:
    texture = torch.rand(3, 4, 3, generator=torch.Generator().manual_seed(2))
    upper_left = torch.tensor([[0.5 / 4, 1 - 0.5 / 3]])
    torch.testing.assert_close(sample_texture(texture, upper_left)[0], texture[0, 0])


def plane(steps: int) -> Mesh:
    """The unit square in triangles, its texture coordinates its x and y."""
    at = torch.linspace(0.1, 0.9, steps + 1)
    y, x = torch.meshgrid(at, at, indexing="ij")
    vertices = torch.stack([x, y, torch.zeros_like(x)], -1).view(-1, 3)
    first = (torch.arange(steps)[:, None] * (steps + 1) + torch.arange(steps)).flatten()
    quads = torch.stack([first, first + 1, first + steps + 2, first + steps + 1], 1)
    faces = torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    material = Material((1.0, 0.5, 1.0), ramp(32, 32))
    return Mesh(vertices, faces, uv=vertices[:, :2], uv_faces=faces, materials=(material,))


def test_the_surface_shows_texture_times_tint() -> None:
    mesh = plane(4)
    face = torch.arange(len(mesh.faces))
    weights = torch.tensor([0.2, 0.5, 0.3]).expand(len(face), 3)
    where = (mesh.triangles * weights[..., None]).sum(1)
    expected = where[:, :2] * torch.tensor([1.0, 0.5])
    torch.testing.assert_close(surface_colors(mesh, face, weights)[:, :2], expected)


def test_colours_of_vertices_go_before_materials() -> None:
    mesh = replace(plane(2), colors=torch.rand(9, 3, generator=torch.Generator().manual_seed(3)))
    assert mesh.colors is not None
    corner = torch.tensor([[0.0, 1.0, 0.0]])
    torch.testing.assert_close(surface_colors(mesh, torch.tensor([5]), corner)[0], mesh.colors[mesh.faces[5, 1]])
    assert vertex_colors(mesh) is mesh.colors


def test_baked_colours_are_those_of_the_surface_around() -> None:
    mesh = plane(16)
    found = vertex_colors(mesh)
    inner = ((mesh.vertices[:, :2] > 0.11) & (mesh.vertices[:, :2] < 0.89)).all(1)
    expected = mesh.vertices[:, :2] * torch.tensor([1.0, 0.5])
    torch.testing.assert_close(found[inner, :2], expected[inner], atol=1e-3, rtol=0)


def test_a_mesh_without_any_colour_is_its_material_s_grey() -> None:
    cube = solids.cube()
    torch.testing.assert_close(vertex_colors(cube), torch.full((8, 3), 0.7))
    lone = replace(cube, vertices=torch.cat([cube.vertices, torch.ones(1, 3)]))  # a vertex in no face
    assert vertex_colors(lone)[-1].tolist() == pytest.approx([0.7] * 3)


def test_each_face_shows_its_own_material() -> None:
    materials = (Material((1.0, 0.0, 0.0)), Material((0.0, 0.0, 1.0)))
    cube = replace(solids.cube(), materials=materials, face_material=torch.tensor([0, 1] * 6))
    face = torch.tensor([3, 4, 0])
    colors = surface_colors(cube, face, torch.full((3, 3), 1 / 3))
    assert colors.tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0]]
