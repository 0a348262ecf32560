"""Densities on adaptive grids: closed forms, sampled frequencies, planted peaks."""

import math

import pytest
import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3, so3_grid
from resect.geometry.rotation_density import RotationDensity

GENERATOR = 7


def rotations(count: int, seed: int = 0) -> Tensor:
    return so3.random(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mixed() -> tuple[Tensor, Tensor]:
    """Base cell 5 cut in eight, one of its children cut again."""
    coarse = torch.tensor([c for c in range(72) if c != 5])
    middle = torch.tensor([40, 41, 42, 44, 45, 46, 47])
    fine = 43 * 8 + torch.arange(8)
    cell = torch.cat([fine, coarse, middle])
    return cell, torch.cat([torch.full((8,), 2), torch.zeros(71, dtype=torch.long), torch.ones(7, dtype=torch.long)])


def peaked(peaks: Tensor, weights: list[float], width_rad: float = 0.2, level: int = 2) -> RotationDensity:
    """A mixture of exp((cos angle − 1) / width²) bumps."""
    centers = so3_grid.cell_center(torch.arange(so3_grid.cell_count(level)), level)
    trace = torch.einsum("nij,kij->nk", centers, peaks)
    each = (trace - 3) / 2 / width_rad**2 + torch.tensor(weights, dtype=torch.float64).log()
    return RotationDensity.of_logits(torch.logaddexp(each.logsumexp(-1), torch.tensor(-40.0).double()), level=level)


def test_uniform_has_density_one_everywhere() -> None:
    density = RotationDensity.uniform(1)
    assert float(density.mass.sum()) == pytest.approx(1)
    torch.testing.assert_close(density.log_prob(rotations(5)), torch.zeros(5, dtype=torch.float64))
    assert float(density.entropy()) == pytest.approx(0)
    mean = math.pi / 2 + 2 / math.pi  # of the angle of a random rotation
    assert float(density.spread(torch.eye(3, dtype=torch.float64)[None])) == pytest.approx(mean, abs=5e-3)


def test_half_of_all_rotations_has_closed_forms() -> None:
    logits = torch.full((576,), -60.0, dtype=torch.float64)
    logits[::2] = 3.0
    density = RotationDensity.of_logits(logits, level=1)
    assert float(density.entropy()) == pytest.approx(-math.log(2))
    region = density.region(0.999)
    assert region[::2].all()
    assert not region[1::2].any()
    low, high = density.region_mass(density.centers(torch.tensor([0, 1])))
    torch.testing.assert_close(low, torch.tensor([0.0, 1.0], dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(high, torch.ones(2, dtype=torch.float64))


def test_cells_of_mixed_levels_are_found_and_weighed() -> None:
    cell, level = mixed()
    logits = torch.randn(len(cell), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    density = RotationDensity.of_logits(logits, cell=cell, level=level)
    assert float(density.mass.sum()) == pytest.approx(1)
    assert density.deepest == 2
    assert torch.equal(density.find(density.centers()), torch.arange(len(cell)))
    planted = so3_grid.cell_center(torch.tensor([43 * 8 + 3, 7]), torch.tensor([2, 0]))
    expected = logits - (logits + torch.log(1 / (72 * 8.0**level))).logsumexp(0)
    torch.testing.assert_close(density.log_prob(planted), expected[[3, 8 + 6]])


def test_cells_that_do_not_fill_are_refused() -> None:
    cell, level = mixed()
    with pytest.raises(ResectError, match="fill SO"):
        RotationDensity.of_logits(torch.zeros(len(cell) - 1), cell=cell[1:], level=level[1:])
    with pytest.raises(ResectError, match="fill SO"):
        RotationDensity.of_logits(
            torch.zeros(len(cell) + 1), cell=cell[[0, *range(len(cell))]], level=level[[0, *range(len(cell))]]
        )
    with pytest.raises(ResectError, match="finite"):
        RotationDensity.of_logits(torch.full((72,), math.nan), level=0)


def test_refining_without_new_information_changes_nothing() -> None:
    coarse = RotationDensity.of_logits(torch.linspace(0, 5, 72, dtype=torch.float64), level=0)
    fine = RotationDensity.of_logits(coarse.log_density.repeat_interleave(8), level=1)
    r = rotations(50)
    torch.testing.assert_close(fine.log_prob(r), coarse.log_prob(r))
    assert float(fine.entropy()) == pytest.approx(float(coarse.entropy()))


def test_samples_have_the_masses_of_the_cells() -> None:
    cell, level = mixed()
    density = RotationDensity.of_logits(torch.linspace(0, 2, len(cell), dtype=torch.float64), cell=cell, level=level)
    drawn = density.sample(20_000, torch.Generator().manual_seed(GENERATOR))
    share = torch.bincount(density.find(drawn), minlength=len(cell)) / 20_000
    error = (share - density.mass) / (density.mass / 20_000).sqrt()
    assert float(error.square().mean()) == pytest.approx(1, abs=0.6)
    torch.testing.assert_close(so3.nearest_rotation(drawn), drawn, atol=1e-12, rtol=0)


def test_a_true_density_holds_the_truth_as_often_as_it_says() -> None:
    density = peaked(rotations(2, 3), [0.7, 0.3])
    truth = density.sample(4000, torch.Generator().manual_seed(GENERATOR))
    low, high = density.region_mass(truth)
    where = low + (high - low) * torch.rand(4000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for share in (0.1, 0.5, 0.9):
        assert float((where < share).double().mean()) == pytest.approx(share, abs=0.03)
        held = density.region(share)[density.find(truth)].double().mean()
        assert share - 0.03 < float(held) < share + 0.08  # whole cells: the region holds a little more


def test_modes_are_the_planted_peaks_with_their_masses() -> None:
    peaks = rotations(3, 11)
    angles = so3.angle(peaks[[0, 0, 1]], peaks[[1, 2, 2]])
    assert float(angles.min()) > 1.0
    modes = peaked(peaks, [0.6, 0.3, 0.1], width_rad=0.12, level=3).modes(radius_deg=30.0)
    assert len(modes) == 3
    assert float(torch.rad2deg(so3.angle(modes.rotation, peaks)).max()) < 1.0  # of 7.5 between cells
    torch.testing.assert_close(modes.mass, torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64), atol=0.01, rtol=0)
    # exp((cos θ − 1) / w²) ≈ a normal density with variance w² in each direction
    spread = modes.covariance.diagonal(dim1=-2, dim2=-1).mean(-1).sqrt()
    torch.testing.assert_close(spread, torch.full((3,), 0.12, dtype=torch.float64), atol=0.012, rtol=0)


def test_modes_are_limited_and_small_ones_left_out() -> None:
    density = peaked(rotations(3, 11), [0.6, 0.38, 0.02], width_rad=0.12)
    assert len(density.modes(radius_deg=30.0)) == 2
    assert len(density.modes(radius_deg=30.0, least=0.01)) == 3
    assert len(density.modes(1, radius_deg=30.0)) == 1


def test_spread_and_best_of_one_peak() -> None:
    peaks = rotations(2, 4)
    density = peaked(peaks[:1], [1.0], width_rad=0.1, level=3)
    assert float(so3.angle(density.best(), peaks[0])) < so3_grid.spacing_rad(3)
    mean = 0.1 * math.sqrt(8 / math.pi)  # of the length of a normal vector in three dimensions
    assert float(density.spread(peaks)) == pytest.approx(mean, rel=0.05)
    assert float(density.spread(peaks[1:])) > 0.5


def test_single_precision_is_kept() -> None:
    density = RotationDensity.of_logits(torch.linspace(0, 1, 72), level=0)
    assert density.log_density.dtype == torch.float32
    assert float(density.mass.sum()) == pytest.approx(1, abs=1e-6)


def test_joined_cells_have_the_mean_density() -> None:
    logits = 3 * torch.randn(so3_grid.cell_count(2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fine = RotationDensity.of_logits(logits, level=2)
    joined = fine.joined(1)
    assert joined.deepest == 1
    torch.testing.assert_close(joined.mass, fine.mass.view(-1, 8).sum(1))
    assert torch.equal(joined.cell, torch.arange(so3_grid.cell_count(1)))
    part = RotationDensity.of_logits(
        torch.tensor([-900.0] * 8 + [-2000.0] * 71).double(),
        cell=torch.cat([torch.arange(8), torch.arange(1, 72)]),
        level=torch.tensor([1] * 8 + [0] * 71),
    ).joined(0)
    assert torch.equal(part.level, torch.zeros(72, dtype=torch.long))
    assert float(part.log_density[0]) == pytest.approx(math.log(72))
    assert float(part.log_density[1]) == pytest.approx(math.log(72) - 1100)
