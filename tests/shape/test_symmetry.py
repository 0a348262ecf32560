"""Groups in closed form are the oracle: each solid is turned and moved, no axis lies where it is easy."""

import math
from dataclasses import replace

import pytest
import torch

from resect.errors import ResectError
from resect.geometry import rotation_group, so3, solids
from resect.geometry.mesh import Material, Mesh, diameter
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import about
from resect.shape.symmetry import SymmetryReport, find_symmetries

X, Y, Z = torch.eye(3, dtype=torch.float64)
ROTATION = so3.random(1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)[0]


def placed(mesh: Mesh) -> tuple[Mesh, torch.Tensor]:
    shift = diameter(mesh.vertices) * torch.tensor([1.5, -0.7, 0.9], dtype=torch.float64)
    return replace(mesh, vertices=(mesh.vertices.double() @ ROTATION.mT + shift).float()), shift


def assert_is(report: SymmetryReport, group: str, center: torch.Tensor, *generators: torch.Tensor) -> None:
    """The name, and every true motion within 1° and 1 % of the diameter of a found one; not more of them."""
    assert report.group == group
    true = rotation_group.closure(generators or [torch.eye(3)])
    assert true is not None
    assert len(report.symmetries.discrete) == len(true)
    wanted = about(center, ROTATION @ true @ ROTATION.mT)
    found = report.symmetries.nearest(SE3.identity(len(true), dtype=torch.float64), wanted)
    assert float(torch.rad2deg(so3.angle(found.R, wanted.R)).max()) < 1
    off = (found.apply(center.expand(len(true), 1, 3)) - center).norm(dim=-1)
    assert float(off.max()) < 0.01 * report.diameter
    assert report.residual <= report.tolerance


def turn(axis: torch.Tensor, order: int) -> torch.Tensor:
    return rotation_group.turn(axis, order)


def unit(*xyz: float) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(xyz, dtype=torch.float64), dim=0)


@pytest.mark.parametrize(
    ("mesh", "group", "generators"),
    [
        (solids.cube(40.0), "O", (turn(Z, 4), turn(X, 4))),
        (solids.box((1, 0.7, 0.4)), "D2", (turn(Z, 2), turn(X, 2))),
        (solids.cone(segments=7), "C7", (turn(Z, 7),)),
    ],
    ids=["cube", "box", "pyramid"],
)
def test_finite_groups(mesh: Mesh, group: str, generators: tuple[torch.Tensor, ...]) -> None:
    moved, shift = placed(mesh)
    report = find_symmetries(moved)
    assert_is(report, group, shift, *generators)
    assert report.residual < 2e-4  # exact solids: float32 coordinates


@pytest.mark.parametrize(
    ("mesh", "group", "flips"),
    [(solids.cylinder(), "D∞", 1), (solids.revolve([(0.1, 0), (0.4, 0.1), (0.5, 0.4)]), "C∞", 0)],
    ids=["cylinder", "open bowl without thickness"],
)
def test_solids_of_revolution(mesh: Mesh, group: str, flips: int) -> None:
    moved, shift = placed(mesh)
    report = find_symmetries(moved)
    assert report.group == group
    (axis,) = report.symmetries.axes
    true = ROTATION @ Z
    assert abs(float(axis.direction @ true)) > math.cos(math.radians(1))
    across = axis.offset - shift - ((axis.offset - shift) @ true) * true
    assert float(across.norm()) < 0.01 * report.diameter
    assert len(report.symmetries.discrete) == 1 + flips
    assert report.levels == ()


def test_a_sphere_has_two_axes_and_deviates_by_the_sagitta_of_its_facets() -> None:
    ball = solids.icosphere(level=3)
    moved, shift = placed(ball)
    report = find_symmetries(moved)
    assert report.group == "K"
    assert len(report.symmetries.axes) == 2
    torch.testing.assert_close(report.symmetries.axes[0].offset, shift, atol=5e-3, rtol=0)
    depth = float(1 - ball.triangles.mean(1).norm(dim=-1).min() / ball.vertices.norm(dim=-1).max()) / 2  # diameters
    assert 0.5 * depth < report.residual < 1.2 * depth


def test_a_side_a_little_longer_is_a_cube_only_at_a_looser_level() -> None:
    """A quarter turn takes faces 0.525 away to where they were 0.5 away: 0.025 of the diameter 1.758 is 1.42 %."""
    moved, shift = placed(solids.box((1, 1, 1.05)))
    report = find_symmetries(moved)
    assert_is(report, "D4", shift, turn(Z, 4), turn(X, 2))
    (level,) = report.levels
    assert (level.tolerance, level.group, level.shape_group, len(level.symmetries.discrete)) == (0.05, "O", "O", 24)
    assert 0.014 < level.residual < 0.019  # the fit of the group to samples adds a little


def test_nothing_is_found_in_a_shape_without_symmetry_but_said_what_came_nearest() -> None:
    wedge = Mesh(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0.6, 0], [0.1, 0.2, 0.4]]), solids.tetrahedron().faces)
    report = find_symmetries(wedge)
    assert report.group == "C1"
    assert report.symmetries.trivial
    assert report.candidates
    assert all(c.residual > report.tolerance and not c.accepted for c in report.candidates)
    assert report.candidates[0].residual == min(c.residual for c in report.candidates)


def painted_cube() -> Mesh:
    cube = solids.cube()
    corners = cube.triangles
    red = (corners.mean(1)[:, 2] > 0.4)[:, None]
    colors = torch.where(red, torch.tensor([0.8, 0.2, 0.1]), torch.tensor([0.6, 0.6, 0.6])).repeat_interleave(3, 0)
    return Mesh(corners.reshape(-1, 3), torch.arange(36).view(-1, 3), colors=colors)


def test_colour_breaks_a_symmetry_unless_it_does_not_count() -> None:
    moved, shift = placed(painted_cube())
    report = find_symmetries(moved)
    assert_is(report, "C4", shift, turn(Z, 4))
    assert report.shape_group == "O"
    assert "colour leaves C4" in report.notes[0]
    assert report.levels == ()  # what colour tells apart, no tolerance of the shape makes alike


def test_texture_counts_as_colour() -> None:
    """Two stripes along a can: of its turns and flips, D2 is left."""
    can = solids.cylinder(segments=32)
    side = torch.atan2(can.vertices[:, 1], can.vertices[:, 0]) / (2 * math.pi)
    corner = side[can.faces]
    corner = torch.where(corner < corner.amax(1, keepdim=True) - 0.5, corner + 1, corner)
    top = can.vertices[can.faces][..., :2].norm(dim=-1).amin(1) < 0.1
    corner[top] = 0.0
    uv = torch.stack([corner.flatten(), torch.zeros(corner.numel())], -1)
    picture = torch.full((4, 64, 3), 0.2)
    picture[:, 8:16] = picture[:, 40:48] = 0.9
    material = Material((1.0, 1.0, 1.0), picture)
    mesh = replace(can, uv=uv, uv_faces=torch.arange(len(uv)).view(-1, 3), materials=(material,))
    report = find_symmetries(mesh)
    assert (report.group, report.shape_group) == ("D2", "D∞")


def test_result_is_the_same_again_and_in_any_unit() -> None:
    moved, _ = placed(solids.cone(segments=4))
    one, two = find_symmetries(moved), find_symmetries(moved)
    torch.testing.assert_close(one.symmetries.discrete.matrix(), two.symmetries.discrete.matrix(), rtol=0, atol=0)
    stretched = find_symmetries(replace(moved, vertices=moved.vertices * 1000))
    assert stretched.group == one.group == "C4"
    assert stretched.diameter == pytest.approx(1000 * one.diameter, rel=1e-5)


@pytest.mark.parametrize(
    ("mesh", "options", "said"),
    [
        (Mesh(torch.zeros(3, 3), torch.tensor([[0, 1, 2]])), {}, "area"),
        (Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long)), {}, "area"),
        (Mesh(torch.full((3, 3), torch.nan), torch.tensor([[0, 1, 2]])), {}, "finite"),
        (solids.cube(), {"tolerance": 0.0}, "tolerance"),
        (solids.cube(), {"tolerance": math.nan}, "tolerance"),
        (solids.cube(), {"color_tolerance": 2.0}, "color tolerance"),
        (solids.cube(), {"max_order": 1}, "order"),
    ],
)
def test_what_is_wrong_is_named(mesh: Mesh, options: dict[str, float], said: str) -> None:
    with pytest.raises(ResectError, match=said):
        find_symmetries(mesh, **options)  # type: ignore[arg-type]
