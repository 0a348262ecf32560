import math

import pytest
import torch

from resect.errors import ResectError
from resect.shape.isosurface import evaluate, marching_cubes


def ball(points: torch.Tensor) -> torch.Tensor:
    return 0.4 - points.norm(dim=-1)


def torus(points: torch.Tensor) -> torch.Tensor:
    ring = torch.hypot(points[:, 0], points[:, 1]) - 0.35
    return 0.11 - torch.hypot(ring, points[:, 2])


def dense(field: object, size: int) -> torch.Tensor:
    line = torch.linspace(-0.55, 0.55, size)
    return field(torch.cartesian_prod(line, line, line)).view(size, size, size)  # type: ignore[operator]


@pytest.mark.parametrize("field", [ball, torus])
@pytest.mark.parametrize(("cells", "halvings"), [(16, 0), (16, 1), (8, 2)])
def test_equals_the_dense_evaluation(field: object, cells: int, halvings: int) -> None:
    asked = []

    def counted(points: torch.Tensor) -> torch.Tensor:
        asked.append(len(points))
        return field(points)  # type: ignore[no-any-return, operator]

    found = evaluate(counted, 0.01, cells=cells, halvings=halvings, most=500)
    whole = dense(field, cells * 2**halvings + 1)
    assert found.shape == whole.shape
    assert torch.equal(found > 0.01, whole > 0.01)
    assert max(asked) <= 500
    a, b = marching_cubes(found, 0.01), marching_cubes(whole, 0.01)
    assert torch.allclose(a.vertices, b.vertices, atol=1e-6)
    if halvings:
        assert sum(asked) < 0.6 * whole.numel()


def test_a_noisy_field_whose_cells_are_crossed_everywhere() -> None:
    table = torch.randn(17, 17, 17, generator=torch.Generator().manual_seed(0))

    def field(points: torch.Tensor) -> torch.Tensor:
        i = ((points / 1.1 + 0.5) * 16).round().long()
        return table[i[:, 0], i[:, 1], i[:, 2]]

    found = evaluate(field, 0.0, cells=4, halvings=2)
    known = found == table
    assert float(known.float().mean()) > 0.99  # a cell of equal corners may hide noise
    # A point that a finer neighbour puts on a cell's face splits that cell too: a lattice of single peaks is found
    # whole, where cells of corners alone would stop.
    assert bool(known[::4, ::4, ::4].all())


def test_points_on_faces_of_coarse_cells_split_them() -> None:
    # The surface enters the right half through the middle of the face x = 0 only: no coarse corner there sees it.
    def field(points: torch.Tensor) -> torch.Tensor:
        bar = 0.1 - points[:, 1:].sub(0.1375).abs().amax(-1)
        left = 0.3 - (points - torch.tensor([-0.275, 0.1375, 0.1375])).abs().amax(-1)
        return torch.maximum(bar, left)

    found = evaluate(field, 0.0, cells=4, halvings=3)
    assert torch.equal(found > 0, dense(field, 33) > 0)


def test_volume_and_area_of_a_ball() -> None:
    mesh = marching_cubes(evaluate(ball, 0.0, cells=16, halvings=2), 0.0)
    a, b, c = mesh.triangles.unbind(1)
    volume = float((a * torch.linalg.cross(b, c)).sum() / 6)
    assert volume == pytest.approx(4 / 3 * math.pi * 0.4**3, rel=0.01)  # positive: faces look outwards
    assert float(mesh.face_areas().sum()) == pytest.approx(4 * math.pi * 0.4**2, rel=0.01)


def test_a_surface_that_leaves_the_cube_is_closed() -> None:
    mesh = marching_cubes(evaluate(lambda p: p[:, 0] - 0.1, 0.0, cells=8, halvings=0), 0.0)
    a, b, c = mesh.triangles.unbind(1)
    assert float((a * torch.linalg.cross(b, c)).sum() / 6) == pytest.approx(0.45 * 1.1**2, rel=0.05)


def test_nothing_inside_is_said() -> None:
    empty = evaluate(lambda p: -torch.ones(len(p)), 0.0, cells=4, halvings=1)
    with pytest.raises(ResectError, match="nothing"):
        marching_cubes(empty, 0.0)
    with pytest.raises(ResectError, match="finite"):
        marching_cubes(torch.full((5, 5, 5), torch.nan), 0.0)
    with pytest.raises(ResectError, match="grid"):
        evaluate(ball, 0.0, cells=1024, halvings=2)
