"""Stated covariances against planted errors: correlated ones, drifting ones, and none of either."""

from dataclasses import replace

import pytest
import torch
from tests.priors.captures import TRAIN

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.landmarks.calibrate import excess_of, folds
from resect.priors.landmarks.prior import Landmarks
from resect.priors.landmarks.resection import Seen, refine
from resect.priors.landmarks.uncertainty import Excess, gap, shared, view_distance
from resect.types import PhotoSet

CAMERA = Camera(300.0, 300.0, 160.0, 120.0, 320, 240)


def planted(generator: torch.Generator, correlated_px: float) -> Seen:
    """Points before a camera at the origin whose pixels have noise of 1 px, and a shift of each cell's own."""
    n = 400
    pixels = torch.rand(n, 2, generator=generator, dtype=torch.float64) * torch.tensor([320.0, 240.0])
    depth = 3 + 3 * torch.rand(n, 1, generator=generator, dtype=torch.float64)
    points = CAMERA.rays(pixels) * depth
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    cell = (pixels / torch.tensor([80.0, 60.0])).long().clamp(0, 3) @ torch.tensor([1, 4])
    moved = pixels + noise + correlated_px * torch.randn(16, 2, generator=generator, dtype=torch.float64)[cell]
    return Seen(points, torch.zeros(n, 3, 3, dtype=torch.float64), moved, 1.0)


@pytest.mark.parametrize(("correlated_px", "low", "high"), [(0.0, 2.5, 6.5), (1.0, 4.0, 13.0)])
def test_errors_that_go_together_are_seen_in_the_residuals(correlated_px: float, low: float, high: float) -> None:
    generator = torch.Generator().manual_seed(0)
    stated, plain = [], []
    for _ in range(60):
        seen = planted(generator, correlated_px)
        solution = refine(seen, SE3.identity(dtype=torch.float64), CAMERA, find_focal=False)
        error = -solution.cam_from_world.log()
        own = torch.linalg.inv(solution.information)
        stated.append(float(error @ torch.linalg.solve(own + shared(seen, solution), error)))
        plain.append(float(error @ solution.information @ error))
    assert low < sum(stated) / 60 < high  # six degrees of freedom
    if correlated_px:
        assert sum(plain) / 60 > 2 * high


def test_growth_is_found_where_errors_grow_and_the_factor_covers_nine_of_ten() -> None:
    generator = torch.Generator().manual_seed(1)
    gaps = torch.rand(400, generator=generator, dtype=torch.float64)
    chi2 = torch.randn(400, 6, generator=generator, dtype=torch.float64).square().sum(1)
    still = excess_of(gaps, 2 * chi2)
    assert still.factor == pytest.approx(2, rel=0.2)
    found = excess_of(gaps, 3 * (1 + 20 * gaps) * chi2)
    assert 10 < found.growth < 40
    inside = 3 * (1 + 20 * gaps) * chi2 / found.at(gaps) < 10.6446
    assert float(inside.double().mean()) == pytest.approx(0.9, abs=0.01)
    assert bool((excess_of(gaps, 0.1 * chi2).at(gaps) == 1).all())
    assert still.growth == 0


def test_gaps_that_were_not_measured_count_as_the_farthest() -> None:
    excess = Excess(2.0, 3.0, farthest=1.0)
    assert excess.at(torch.tensor([0.0, 1.0, 50.0])).tolist() == [2.0, 8.0, 8.0]
    assert not Excess(0.0).valid
    assert not Excess(growth=float("nan")).valid


def test_distance_of_two_cameras() -> None:
    here = SE3.identity(1, dtype=torch.float64)
    turned = here.retract(torch.tensor([[0.0, 0.0, 0.0, 0.0, torch.pi / 4.5, 0.0]], dtype=torch.float64))
    assert float(view_distance(here, turned, 2.0)) == pytest.approx(1.0, abs=1e-6)
    moved = SE3(here.R, here.t + torch.tensor([0.0, 1.0, 0.0]))
    assert float(view_distance(here, moved, 2.0)) == pytest.approx(1.0, abs=1e-6)


def test_some_are_asked_alone_and_some_in_runs() -> None:
    (apart, asked), (middle, _), (last, _) = folds(40)
    assert apart == [3, 9, 15, 21, 27, 33, 39]
    assert asked == apart
    assert middle == list(range(10, 20))
    assert last == list(range(30, 40))
    assert all(len(few) <= 16 for _, few in folds(5000))
    assert [left_out for left_out, _ in folds(8)] == [[3], [0, 1], [2, 3], [4, 5], [6, 7]]
    assert folds(2) == []


def test_a_photo_far_from_all_others_is_stated_less_exact(known_landmarks: Landmarks, held_out: PhotoSet) -> None:
    sure = replace(known_landmarks, excess=Excess(1.0, 0.0, 0.0))
    unsure = replace(known_landmarks, excess=Excess(2.0, 10.0, 5.0))
    a, b = (m.localize(held_out[0]).hypotheses for m in (sure, unsure))
    assert a.information is not None
    assert b.information is not None
    far = gap(a.cam_from_world, known_landmarks.training)
    assert len(known_landmarks.training) == len(TRAIN)
    torch.testing.assert_close(a.information / b.information, (2 * (1 + 10 * far))[:, None, None].expand(1, 6, 6))
