"""Sampling and compositing against closed forms and against the published procedure written out."""

import math
from itertools import pairwise

import pytest
import torch

from resect.scenes.volume import composite, mean_at, median_at, resampled, spread_samples


def test_an_even_slab_lets_through_what_beer_and_lambert_say() -> None:
    at = torch.linspace(1.0, 3.0, 41, dtype=torch.float64).expand(2, 41)
    density = torch.full((2, 41), 0.7, dtype=torch.float64)
    density[:, -1] = 0
    colour, behind = torch.tensor([0.2, 0.5, 0.9]).double(), torch.tensor([1.0, 0.0, 0.5]).double()
    length = torch.tensor([1.0, 2.5], dtype=torch.float64)
    found = composite(colour.expand(2, 41, 3), density, at, length, behind)
    through = torch.exp(-0.7 * 2.0 * length)[:, None]
    torch.testing.assert_close(found.rgb, (1 - through) * colour + through * behind, atol=1e-8, rtol=0)
    torch.testing.assert_close(found.alpha, 1 - through[:, 0], atol=1e-8, rtol=0)
    assert float(median_at(found, at)[0]) == pytest.approx(1 - math.log(0.5 * (1 + float(through[0]))) / 0.7, abs=0.05)


def test_nothing_is_nowhere_and_a_wall_is_where_it_stands() -> None:
    at = torch.linspace(1.0, 3.0, 21).expand(2, 21)
    density = torch.zeros(2, 21)
    density[1, 10] = 1e4
    found = composite(torch.ones(2, 21, 3), density, at, torch.ones(2), torch.zeros(3))
    for where in (mean_at, median_at):
        assert where(found, at).tolist() == pytest.approx([-1.0, 2.0])


def test_samples_are_even_in_distance_or_in_its_inverse() -> None:
    torch.testing.assert_close(spread_samples(1.0, 3.0, 5, 1)[0], torch.tensor([1.0, 1.5, 2.0, 2.5, 3.0]))
    inverse = 1 / spread_samples(1.0, 4.0, 7, 1, in_disparity=True)[0]
    torch.testing.assert_close(inverse, torch.linspace(1.0, 0.25, 7))
    torch.manual_seed(0)
    drawn = spread_samples(1.0, 3.0, 5, 4000, jitter=True)
    assert bool((drawn[:, 1:] >= drawn[:, :-1]).all())
    assert float(drawn[:, 0].max()) <= 1.25
    assert float(drawn[:, 2].mean()) == pytest.approx(2.0, abs=0.01)


def published(at: list[float], weight: list[float], count: int) -> list[float]:
    """Appendix A and the released code, a number at a time."""
    edges = [(a + b) / 2 for a, b in pairwise(at)]
    share = [w + 1e-5 for w in weight[1:-1]]
    total, cumulated = sum(share), [0.0]
    for x in share:
        cumulated.append(cumulated[-1] + x / total)
    found = []
    for k in range(count):
        u = k / (count - 1)
        above = next((i for i, c in enumerate(cumulated) if c > u), len(cumulated))
        low, high = max(above - 1, 0), min(above, len(cumulated) - 1)
        step = cumulated[high] - cumulated[low]
        part = (u - cumulated[low]) / (1.0 if step < 1e-5 else step)
        found.append(edges[low] + part * (edges[high] - edges[low]))
    return sorted(at + found)


def test_finer_samples_are_the_published_ones() -> None:
    g = torch.Generator().manual_seed(3)
    at = torch.rand(6, 12, generator=g, dtype=torch.float64).cumsum(-1) + 0.5
    weight = torch.rand(6, 12, generator=g, dtype=torch.float64) ** 6
    weight[1] = 0
    found = resampled(at, weight, 9)
    for row in range(6):
        assert found[row].tolist() == pytest.approx(published(at[row].tolist(), weight[row].tolist(), 9), abs=1e-6)


def test_jittered_ones_are_where_the_weight_is() -> None:
    torch.manual_seed(0)
    at = torch.linspace(0, 10, 11).expand(2000, 11)
    weight = torch.zeros(2000, 11)
    weight[:, 4], weight[:, 7] = 0.75, 0.25
    drawn = resampled(at, weight, 4, jitter=True)
    new = drawn[(drawn != drawn.round())]
    assert float(((new > 3.5) & (new < 4.5)).float().mean()) == pytest.approx(0.75, abs=0.02)
    assert float(((new > 6.5) & (new < 7.5)).float().mean()) == pytest.approx(0.25, abs=0.02)
