from dataclasses import replace

import pytest
import torch

from resect.data.mesh_occupancy import inside_mesh, is_closed
from resect.data.procedural_shapes.families import draw
from resect.errors import ResectError
from resect.geometry import solids
from resect.geometry.mesh import Mesh
from resect.geometry.mesh_edit import concatenated


def cube_points(count: int = 5000) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) * 1.1 - 0.55


def moved(mesh: Mesh, x: float) -> Mesh:
    return replace(mesh, vertices=mesh.vertices + torch.tensor([x, 0.0, 0.0]))


def flipped(mesh: Mesh) -> Mesh:
    return replace(mesh, faces=mesh.faces.flip(-1))


def without_face(mesh: Mesh) -> Mesh:
    return replace(mesh, faces=mesh.faces[1:])


def test_a_box_and_overlapping_boxes_in_closed_form() -> None:
    points = cube_points()
    one = solids.box((0.5, 0.6, 0.7))
    assert is_closed(one)
    truth = (points.abs() <= torch.tensor([0.25, 0.3, 0.35])).all(-1)
    assert torch.equal(inside_mesh(points, one), truth)
    assert torch.equal(inside_mesh(points, flipped(one)), truth)
    two = concatenated([one, moved(one, 0.2)])
    right = ((points - torch.tensor([0.2, 0, 0])).abs() <= torch.tensor([0.25, 0.3, 0.35])).all(-1)
    assert torch.equal(inside_mesh(points, two), truth | right)  # counting crossings alone would lose the overlap


def test_a_hole_of_a_torus_is_outside() -> None:
    torus, points = solids.torus(0.35, 0.12, 96, 48), cube_points()
    ring = torch.hypot(points[:, 0], points[:, 1]) - 0.35
    depth = 0.12 - torch.hypot(ring, points[:, 2])
    clear = depth.abs() > 0.002  # the mesh lies a little within the torus
    assert torch.equal(inside_mesh(points, torus)[clear], (depth > 0)[clear])
    holed = inside_mesh(points, without_face(torus))  # a few lines look in through the missing face
    assert int((holed != (depth > 0))[clear].sum()) <= 20


def test_faces_turned_at_random_do_not_matter() -> None:
    solid = draw("chair", "test", 1)
    mesh = solid.mesh()
    turned = torch.rand(len(mesh.faces), generator=torch.Generator().manual_seed(0)) < 0.5
    soup = replace(mesh, faces=torch.where(turned[:, None], mesh.faces.flip(-1), mesh.faces))
    assert is_closed(mesh)
    assert not is_closed(soup)
    points = cube_points()
    found, truth = inside_mesh(points, soup), solid.contains(points)
    assert int((found != truth).sum()) <= 0.02 * int(truth.sum())


def test_sheets_are_thin_until_they_are_given_a_thickness() -> None:
    sheet = Mesh(
        torch.tensor([[-0.5, 0.1, -0.5], [0.5, 0.1, -0.5], [0.5, 0.1, 0.5], [-0.5, 0.1, 0.5]]),
        torch.tensor([[0, 1, 2], [0, 2, 3], [2, 1, 0], [3, 2, 0]]),  # drawn twice, once for each side
    )
    points = cube_points(20_000)
    assert not is_closed(sheet)
    assert not bool(inside_mesh(points, sheet).any())
    thick = inside_mesh(points, sheet, thickness=0.1)
    within = (points[:, 1] - 0.1).abs() < 0.048
    over = (points[:, [0, 2]].abs() < 0.49).all(-1)
    assert bool(thick[within & over].all())
    assert not bool(thick[(points[:, 1] - 0.1).abs() > 0.05].any())


def test_memory_is_bounded_without_a_difference() -> None:
    mesh, points = solids.icosphere(0.4, 2), cube_points(3000)
    assert torch.equal(inside_mesh(points, mesh), inside_mesh(points, mesh, most=50))


def test_no_points_no_answer_and_bad_meshes_are_refused() -> None:
    ball = solids.icosphere(0.4, 1)
    assert len(inside_mesh(torch.zeros(0, 3), ball)) == 0
    with pytest.raises(ResectError, match="faces"):
        inside_mesh(cube_points(), replace(ball, faces=ball.faces[:0]))
    with pytest.raises(ResectError, match="finite"):
        inside_mesh(cube_points(), replace(ball, vertices=ball.vertices * torch.nan))
