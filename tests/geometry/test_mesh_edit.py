from dataclasses import replace

import pytest
import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3, solids
from resect.geometry.mesh import Material, Mesh, diameter
from resect.geometry.mesh_edit import concatenated, merge_vertices, normalized, transformed
from resect.geometry.mesh_topology import edges
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3

TURN = so3.exp(torch.tensor([0.3, -0.8, 0.5], dtype=torch.float64))


def soup(mesh: Mesh) -> Mesh:
    """Each face with vertices of its own, as STL has it."""
    faces = torch.arange(3 * len(mesh.faces)).view(-1, 3)
    return replace(mesh, vertices=mesh.triangles.flatten(0, 1), faces=faces)


def test_motions_turn_normals_too_and_scales_change_the_unit() -> None:
    box = replace(solids.box((1, 2, 3), dtype=torch.float64), meters_per_unit=0.001)
    box = replace(box, normals=box.vertex_normals())
    moved = transformed(box, Sim3(torch.tensor(2.0), TURN, torch.tensor([1.0, 2, 3])))
    torch.testing.assert_close(moved.vertices, 2 * box.vertices @ TURN.mT + torch.tensor([1.0, 2, 3]))
    torch.testing.assert_close(moved.vertex_normals(), replace(moved, normals=None).vertex_normals())
    assert moved.meters_per_unit == pytest.approx(0.0005)
    assert transformed(box, SE3(TURN, torch.zeros(3).double())).meters_per_unit == 0.001


def test_a_normalized_mesh_fills_the_unit_box_and_comes_back() -> None:
    mesh = transformed(solids.box((1, 2, 4), dtype=torch.float64), SE3(torch.eye(3), torch.tensor([100.0, 0, -7])))
    unit, unit_from_mesh = normalized(mesh)
    torch.testing.assert_close(unit.bounds, torch.tensor([[-1, -2, -4], [1, 2, 4]], dtype=torch.float64) / 8)
    torch.testing.assert_close(unit_from_mesh.inverse().apply(unit.vertices), mesh.vertices)
    with pytest.raises(ResectError, match="extends"):
        normalized(Mesh(torch.ones(3, 3), torch.tensor([[0, 1, 2]])))


@pytest.mark.parametrize("tolerance", [0.0, 1e-6])
def test_a_soup_becomes_a_closed_surface_again(tolerance: float) -> None:
    cube = solids.cube(dtype=torch.float64)
    merged = merge_vertices(soup(cube), tolerance)
    assert len(merged.vertices) == 8
    torch.testing.assert_close(merged.triangles, cube.triangles)
    assert bool((edges(merged)[1] >= 0).all())


def test_vertices_merge_within_the_tolerance_and_across_the_sign_of_zero() -> None:
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [-0.0, 0, 0], [1.0004, 0, 0], [0, 1.1, 0]])
    mesh = Mesh(points, torch.tensor([[0, 1, 2], [3, 4, 5]]), colors=torch.eye(6)[:, :3], normals=points)
    exact, near = merge_vertices(mesh), merge_vertices(mesh, 1e-3)
    assert exact.faces.tolist() == [[0, 1, 2], [0, 3, 4]]
    assert near.faces.tolist() == [[0, 1, 2], [0, 1, 3]]
    assert near.colors is not None
    assert near.colors.tolist() == torch.eye(6)[[0, 1, 2, 5], :3].tolist()
    assert near.normals is None
    assert merge_vertices(exact) is exact


def test_several_meshes_stand_where_they_are_put() -> None:
    cube, ball = solids.cube(), solids.icosphere(level=1)
    away = torch.tensor([[0.0, 0, 0], [10, 0, 0]])
    both = concatenated([cube, ball], SE3(torch.eye(3).expand(2, 3, 3), away))
    torch.testing.assert_close(both.triangles, torch.cat([cube.triangles, ball.triangles + away[1]]))
    assert diameter(both.vertices) > 10
    assert both.name == "box + icosphere"


def seen(mesh: Mesh) -> list[tuple[float, float, float]]:
    assert mesh.face_material is not None
    return [mesh.materials[k].color for k in mesh.face_material.tolist()]


def textured(color: tuple[float, float, float]) -> Mesh:
    """A cube painted evenly."""
    texture: Tensor = torch.tensor(color).expand(4, 4, 3)
    uv = torch.rand(8, 2, generator=torch.Generator().manual_seed(1))
    cube = solids.cube()
    return replace(cube, materials=(Material((1.0, 1.0, 1.0), texture),), uv=uv, uv_faces=cube.faces)


def test_materials_and_textures_stay_with_their_faces() -> None:
    plain = replace(
        solids.cube(),
        materials=(Material((1.0, 0.0, 0.0)), Material((0.0, 1.0, 0.0))),
        face_material=torch.tensor([0, 1] * 6),
    )
    painted = textured((0.25, 0.5, 0.75))
    both = concatenated([plain, painted, plain])
    assert seen(both)[:12] == seen(plain)
    assert seen(both)[24:] == seen(plain)
    assert both.uv is not None
    assert both.uv_faces is not None
    assert painted.uv is not None
    torch.testing.assert_close(both.uv[both.uv_faces[12:24]], painted.uv[painted.faces])


def test_beside_colours_of_vertices_textures_are_baked() -> None:
    colors = torch.rand(8, 3, generator=torch.Generator().manual_seed(2))
    both = concatenated([replace(solids.cube(), colors=colors), textured((0.25, 0.5, 0.75))])
    assert both.colors is not None
    assert both.uv is None
    torch.testing.assert_close(both.colors[:8], colors)
    torch.testing.assert_close(both.colors[8:], torch.tensor([0.25, 0.5, 0.75]).expand(8, 3))


def test_meshes_of_different_units_are_not_joined() -> None:
    cube = solids.cube()
    with pytest.raises(ResectError, match="same units"):
        concatenated([replace(cube, meters_per_unit=1.0), replace(cube, meters_per_unit=0.001)])
    with pytest.raises(ResectError, match="one mesh or more"):
        concatenated([])
