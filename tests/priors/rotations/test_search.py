import math

import pytest
import torch
from torch import Tensor

from resect.geometry import so3, so3_grid
from resect.geometry.so3_series import basis, gradient, series_size
from resect.geometry.so3_waves import evaluate_on_fibres, fibres_of, trigonometric
from resect.priors.rotations.search import ascend, greatest_cell, subdivide
from resect.types import RotationDensity

L = 3


def random_series(seed: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(series_size(L), generator=g, dtype=torch.float64)


def whole(series: Tensor, level: int) -> Tensor:
    starts, tilts, cells = so3_grid.fibres(level)
    values = evaluate_on_fibres(trigonometric(series, L), fibres_of(starts, tilts, L)).flatten()
    return values[cells.flatten().argsort()]


def test_the_greatest_cell_is_that_of_the_whole_grid() -> None:
    for seed in range(8):
        series = random_series(seed)

        def at_cells(cells: Tensor, level: int, series: Tensor = series) -> Tensor:
            return basis(so3_grid.cell_center(cells, level), L) @ series

        found = greatest_cell(at_cells, torch.arange(so3_grid.cell_count(2)), whole(series, 2), 2, 4)
        assert int(found) == int(whole(series, 4).argmax())


def test_a_subdivided_density_is_that_of_the_whole_grid_where_it_matters() -> None:
    series = 0.6 * random_series(1)
    exact = RotationDensity.of_logits(whole(series, 4), level=4)
    found = subdivide(lambda r: basis(r, L) @ series, whole(series, 2), 2, 4, most=512, inside=0)
    assert len(found.cell) < 0.05 * len(exact.cell)
    top = exact.centers(exact.log_density.topk(50).indices)
    torch.testing.assert_close(found.log_prob(top), exact.log_prob(top), atol=0.03, rtol=0)
    assert found.deepest == 4


def test_narrow_peaks_are_found_and_have_their_mass() -> None:
    """Normal about two rotations, σ = 0.4°, one three times as probable: far narrower than the cells begun with."""
    peak = so3.random(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def logits(rotation: Tensor) -> Tensor:
        angle = so3.angle(rotation[:, None].expand(-1, 2, 3, 3), peak.expand(len(rotation), 2, 3, 3))
        return (torch.tensor([3.0, 1.0]).log() - 0.5 * (angle / math.radians(0.4)).square()).logsumexp(1)

    coarse = logits(so3_grid.cell_center(torch.arange(so3_grid.cell_count(2)), 2))
    found = subdivide(logits, coarse, 2, 4, most=256, inside=3)
    assert found.deepest == 4
    modes = found.modes(8)
    assert modes.mass.tolist() == pytest.approx([0.75, 0.25], abs=0.03)
    assert float(so3.angle(modes.rotation, peak).rad2deg().max()) < 2


def test_ascent_ends_where_the_gradient_vanishes_higher_than_it_began() -> None:
    series = random_series(2)
    first = gradient(series, L)
    second = gradient(first, L)

    def local(rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        at = basis(rotation, L)
        bend = torch.einsum("ijk,nk->nij", second, at)
        return at @ series, at @ first.mT, (bend + bend.mT) / 2

    start = so3.random(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    value, slope, _ = local(start)
    end = ascend(local, start, 60)
    better, flat, bend = local(end)
    assert bool((better >= value).all())
    assert float(flat.norm(dim=-1).max()) < 1e-6 * float(slope.norm(dim=-1).max())
    assert float(torch.linalg.eigvalsh(bend).amax()) < 1e-6


def test_ascent_finds_the_peak_of_a_matrix_fisher_density() -> None:
    peak = so3.exp(torch.tensor([0.5, -1.0, 0.3], dtype=torch.float64))

    def local(rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a = rotation @ peak.mT  # f = tr(a); d tr(exp(ω) a) = ω · vee(aᵀ − a)
        trace = a.diagonal(dim1=-2, dim2=-1).sum(-1)
        bend = (a + a.mT) / 2 - trace[:, None, None] * torch.eye(3, dtype=torch.float64)
        return trace, -so3.vee(a - a.mT), bend

    start = peak @ so3.exp(torch.tensor([[0.0, 0.0, 2.0], [1.5, 0.0, 0.0]], dtype=torch.float64))
    assert float(so3.angle(ascend(local, start, 40), peak.expand(2, 3, 3)).max()) < math.radians(1e-5)
