"""Metrics of rotation densities: closed forms and counts by hand."""

import math

import pytest
import torch
from torch import Tensor

from resect.geometry import so3, so3_grid
from resect.geometry.rotation_density import RotationDensity
from resect.metrics.rotation import (
    JudgedRotation,
    ceiling,
    judge,
    log_likelihood,
    precision_recall,
    reduced_error_deg,
    reliability,
    summarize,
)


def rotations(count: int, seed: int = 0) -> Tensor:
    return so3.random(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def on_cells(cells: Tensor, level: int) -> RotationDensity:
    """All mass on these cells, by their shares."""
    count = torch.bincount(cells, minlength=so3_grid.cell_count(level)).double()
    return RotationDensity.of_logits((count + 1e-12).log(), level=level)


def half_turns() -> Tensor:
    """The group of four half turns."""
    axes = torch.cat([torch.zeros(1, 3), torch.eye(3)]).double()
    return so3.exp(axes * math.pi)


def test_uniform_scores_minus_log_pi_squared() -> None:
    found = log_likelihood(RotationDensity.uniform(), rotations(3))
    assert float(found) == pytest.approx(-2.2895, abs=1e-4)


def test_the_ceiling_of_a_point_and_that_it_is_reached_but_not_passed() -> None:
    truths = rotations(1)[0] @ half_turns()
    assert float(ceiling(truths[:1], 3)) == pytest.approx(8.23, abs=0.005)
    assert float(ceiling(truths[:1], 5)) == pytest.approx(12.38, abs=0.005)
    assert float(ceiling(truths, 2)) == pytest.approx(math.log(4608 / math.pi**2) - math.log(4))
    best = on_cells(so3_grid.cell_of(truths, 2), 2)
    assert float(log_likelihood(best, truths)) == pytest.approx(float(ceiling(truths, 2)), abs=1e-6)


def test_ceilings_of_a_cylinder_and_a_cone_are_those_the_field_reports() -> None:
    turns = torch.arange(360, dtype=torch.float64)[:, None] * torch.tensor([0.0, 0.0, math.pi / 180]).double()
    cone = so3.exp(turns)
    cylinder = torch.cat([cone, so3.exp(torch.tensor([math.pi, 0.0, 0.0]).double()) @ cone])
    for group, level, expected in ((cone, 3, 4.23), (cone, 5, 7.07), (cylinder, 4, 4.94)):
        mean = torch.stack([ceiling(r @ group, level) for r in rotations(24)]).mean()
        assert float(mean) == pytest.approx(expected, abs=0.15)  # ours: the cell that holds it, theirs: nearest middle


def test_reduced_error_is_the_least_over_equivalents() -> None:
    r, group = rotations(2), half_turns()
    turn = so3.exp(torch.tensor([0.0, 0.1, 0.0], dtype=torch.float64))
    found = reduced_error_deg(r[:, None] @ group @ turn, r[0] @ group)
    assert found.shape == (2, 4)
    torch.testing.assert_close(found[0], torch.full((4,), math.degrees(0.1), dtype=torch.float64))
    assert float(reduced_error_deg(r[0], r[:1])) == pytest.approx(0, abs=1e-5)


def test_precision_and_recall_of_half_the_equivalents() -> None:
    truths = so3_grid.cell_center(so3_grid.cell_of(rotations(1)[0] @ half_turns(), 2), 2)
    cells = so3_grid.cell_of(truths, 2)
    stray = so3_grid.cell_of(truths[0] @ so3.exp(torch.tensor([1.0, 0.0, 0.0]).double()), 2)
    density = on_cells(torch.cat([cells[:2], stray[None], cells[:1]]), 2)
    precision, recall = precision_recall(density, truths, 10.0, chunk=1000)
    assert precision == pytest.approx(0.75, abs=1e-6)
    assert recall == pytest.approx(0.5)
    assert precision_recall(on_cells(cells, 2), truths, 5.0) == pytest.approx((1.0, 1.0), abs=1e-6)


def test_recall_of_a_continuum_asks_for_all_of_it() -> None:
    """A third of a circle of equivalents: its middle gets thrice its due, its ends half of that, the rest nothing."""
    turns = torch.arange(360, dtype=torch.float64)[:, None] * torch.tensor([0.0, 0.0, math.pi / 180]).double()
    truths = rotations(1, 3)[0] @ so3.exp(turns)
    precision, recall = precision_recall(on_cells(so3_grid.cell_of(truths[:120], 3), 3), truths, 15.0)
    assert precision == pytest.approx(1, abs=1e-6)
    assert recall == pytest.approx(1 / 3 + 2 * 10 / 360, abs=0.04)


def test_judging_counts_a_symmetric_answer_as_right_and_the_second_mode_as_second() -> None:
    truths = rotations(1, 2)[0] @ half_turns()
    cells = so3_grid.cell_of(truths, 3)
    density = on_cells(torch.cat([cells[1:2], cells]), 3)  # the densest is the second equivalent
    one = judge(density, truths[0], truths, "box")
    assert one.error_deg == pytest.approx(180, abs=8)
    assert one.reduced_deg < 6
    assert one.top_deg[0] > 90
    assert one.top_deg[3] < 6
    assert one.spread_deg < 6
    assert one.level == 3
    assert one.log_likelihood < one.ceiling
    assert one.region == pytest.approx((0.4, 1.0), abs=1e-6)
    assert (one.precision, one.recall) == pytest.approx((1.0, 1.0), abs=1e-6)
    assert judge(density, truths[0]).log_likelihood == pytest.approx(
        float(density.log_prob(truths[0])) - so3_grid.LOG_PI2
    )


def one(category: str, error: float, region: tuple[float, float] = (0.0, 0.0)) -> JudgedRotation:
    return JudgedRotation(
        category, error, error / 2, (error,) * 4, 1.0 + (category == "b"), 5.0, 3, 4.0, region, 0.5, 1.0
    )


def test_medians_are_taken_per_class_and_then_averaged() -> None:
    judged = [one("a", 10.0), one("a", 20.0), one("a", 60.0), one("b", 2.0), one("b", math.inf)]
    report = summarize(judged)
    assert [name for name, _ in report.classes] == ["a", "b"]
    assert report.classes[0][1].median_deg == 20
    assert report.classes[1][1].median_deg == math.inf
    assert report.over_images.median_deg == 20
    assert report.over_classes.acc15 == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert report.over_images.acc15 == pytest.approx(2 / 5)
    assert report.over_classes.log_likelihood == pytest.approx(1.5)
    assert report.over_images.log_likelihood == pytest.approx(1.4)
    assert report.over_classes.count == 5


def test_regions_of_a_true_density_hold_what_they_say() -> None:
    shares = torch.linspace(0.05, 0.95, 10).tolist()
    judged = [one("a", 1.0, (s - 0.05, s + 0.05)) for s in shares]
    for level, share in reliability(judged, (0.1, 0.5, 0.9)):
        assert share.value == pytest.approx(level)
    overconfident = [one("a", 1.0, (0.99, 1.0))] * 10
    assert reliability(overconfident, (0.9,))[0][1].inside == 0
