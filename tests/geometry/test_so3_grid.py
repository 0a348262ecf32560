"""The grid on SO(3): equal volumes, nesting, compact cells, nearest middles by brute force."""

import math

import pytest
import torch
from torch import Tensor

from resect.geometry import harmonics, healpix, so3, so3_series, so3_waves
from resect.geometry import so3_grid as grid


def rotations(count: int, seed: int = 0) -> Tensor:
    return so3.random(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_counts_and_spacings() -> None:
    assert [grid.cell_count(level) for level in (0, 3, 5)] == [72, 36864, 2359296]
    assert math.degrees(grid.spacing_rad(3)) == pytest.approx(7.5)
    assert pytest.approx(2.2895, abs=1e-4) == grid.LOG_PI2


def test_the_chart_round_trips_poles_included() -> None:
    axes = so3.exp(torch.tensor([[0, 0, 0], [0, 1, 0], [math.pi, 0, 0], [0, 0, math.pi]], dtype=torch.float64))
    r = torch.cat([rotations(500), axes])
    base, place = grid.to_chart(r)
    assert ((base >= 0) & (base < 72)).all()
    assert ((place >= 0) & (place <= 1)).all()
    torch.testing.assert_close(grid.from_chart(base, place), r, atol=1e-13, rtol=0)


def test_uniform_rotations_are_uniform_in_the_chart() -> None:
    """Cells have equal volumes: χ² of the counts of 40 000 rotations in the 72 base cells and in their octants."""
    cell = grid.cell_of(rotations(40_000), 1)
    for counts in (torch.bincount(cell, minlength=576), torch.bincount(cell // 8, minlength=72)):
        expected, n = 40_000 / len(counts), len(counts)
        chi2 = float(((counts - expected) ** 2 / expected).sum())
        assert abs(chi2 - (n - 1)) < 4 * math.sqrt(2 * n)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_middle_lies_in_its_cell_and_a_child_in_its_parent(level: int) -> None:
    cell = torch.arange(grid.cell_count(level))
    assert torch.equal(grid.cell_of(grid.cell_center(cell, level), level), cell)
    assert torch.equal(
        grid.cell_of(grid.cell_center(grid.children(cell), level + 1), level), cell[:, None].expand(-1, 8)
    )


def test_cells_are_compact_at_the_poles_too() -> None:
    """No rotation is farther than 1.3 spacings from its cell's middle; with plain tilts it would be over 3."""
    near_poles = harmonics.from_angles(
        *(rotations(2000)[:, 0] * torch.tensor([math.pi, 0.05, math.pi], dtype=torch.float64)).unbind(-1)
    )
    r = torch.cat([rotations(4000), near_poles, near_poles @ so3.exp(torch.tensor([[math.pi, 0.0, 0.0]]).double())])
    distance = so3.angle(r, grid.cell_center(grid.cell_of(r, 2), 2))
    assert float(distance.max()) < 1.3 * grid.spacing_rad(2)


def test_nearest_is_that_of_all_middles() -> None:
    r = rotations(1500)
    centers = grid.cell_center(torch.arange(grid.cell_count(2)), 2)
    expected = torch.einsum("nij,kij->nk", r, centers).argmax(-1)
    assert torch.equal(grid.nearest(r, 2), expected)
    assert 0.75 < float((grid.cell_of(r, 2) == expected).double().mean()) < 1


def test_cells_of_mixed_levels() -> None:
    r = rotations(6)
    levels = torch.tensor([0, 1, 2, 5, 9, 12])
    cell = torch.stack([grid.cell_of(r[i], int(n)) for i, n in enumerate(levels)])
    center = grid.cell_center(cell, levels)
    for i, n in enumerate(levels.tolist()):
        torch.testing.assert_close(center[i], grid.cell_center(cell[i], n), atol=1e-14, rtol=0)
        assert float(so3.angle(center[i], r[i])) < 1.3 * grid.spacing_rad(n)


def test_places_fill_their_cell() -> None:
    place = torch.rand(300, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cell = torch.arange(300) + 1000
    assert torch.equal(grid.cell_of(grid.at(cell, 2, place), 2), cell)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_fibres_are_the_middles(level: int) -> None:
    starts, tilt, cell = grid.fibres(level)
    assert torch.equal(cell.flatten().sort().values, torch.arange(grid.cell_count(level)))
    some = torch.arange(0, cell.numel(), max(1, cell.numel() // 500))
    p, t = some // len(tilt), some % len(tilt)
    zero = torch.zeros(len(t), dtype=torch.float64)
    found = starts[p] @ harmonics.from_angles(tilt[t], zero, zero)
    torch.testing.assert_close(found, grid.cell_center(cell.flatten()[some], level), atol=1e-13, rtol=0)
    assert torch.equal(torch.stack(grid.fibre_of(cell.flatten()[some], level)), torch.stack([p, t]))


def test_a_series_on_fibres_is_the_series_at_the_middles() -> None:
    c = torch.randn(2, 84, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    starts, tilt, cell = grid.fibres(0)
    found = so3_waves.evaluate_on_fibres(so3_waves.trigonometric(c, 3), so3_waves.fibres_of(starts, tilt, 3)).flatten(1)
    centers = grid.cell_center(cell.flatten(), 0)
    torch.testing.assert_close(found, so3_series.evaluate(c, centers, 3))


def test_the_published_grid_is_rings_times_tilts() -> None:
    found = grid.published_grid(1)
    assert len(found) == grid.cell_count(1)
    torch.testing.assert_close(found[:48, :, 1], healpix.ring_centers(2))
    torch.testing.assert_close(found[48:96, :, 1], healpix.ring_centers(2))
    turn = found[:48].mT @ found[48:96]
    torch.testing.assert_close(
        so3.log(turn), torch.tensor([[0.0, math.pi / 6, 0.0]], dtype=torch.float64).expand(48, 3), atol=1e-12, rtol=0
    )


def test_single_precision_and_batches_are_taken() -> None:
    r = rotations(4).float().view(2, 2, 3, 3)
    assert grid.cell_of(r, 3).shape == (2, 2)
    assert grid.nearest(r, 3).shape == (2, 2)
