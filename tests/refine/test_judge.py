"""Modes and their mass, the covariance's floor, the status, and the loss on pixels kept apart."""

import math

import pytest
import torch
from ball import RayBall, photograph, pose

from resect.geometry.se3 import SE3
from resect.refine.judge import ErrorModel, make_bench, modes, status_of, with_floor
from resect.refine.view import Meter, view
from resect.types import Hypotheses, Status


def turned(base: SE3, degrees: float) -> SE3:
    return base.retract(torch.tensor([0, 0, 0, 0, math.radians(degrees), 0], dtype=torch.float64))


def test_poses_that_ended_together_are_one_mode_with_the_sum_of_their_mass() -> None:
    base = pose(0)
    ended = SE3.stack([base, turned(base, 1.0), turned(base, 90.0)])
    loss = torch.tensor([0.010, 0.010, 0.012], dtype=torch.float64)
    found, index = modes(Hypotheses(ended, torch.zeros(3)), loss, 0.01, 20.0, 4.0)
    far = math.exp(-0.5 * 20 * 0.002 / 0.01)
    torch.testing.assert_close(found.log_weight.exp(), torch.tensor([2.0, far]) / (2 + far))
    assert index.tolist() == [0, 2]


def test_prior_weight_counts_and_pixels_are_at_most_a_hundred() -> None:
    base = pose(0)
    ended = Hypotheses(SE3.stack([base, turned(base, 90.0)]), torch.log(torch.tensor([0.2, 0.8])))
    found, index = modes(ended, torch.tensor([0.01, 0.01]), 0.01, 1e9, 4.0)
    torch.testing.assert_close(found.log_weight.exp(), torch.tensor([0.8, 0.2]))
    assert index.tolist() == [1, 0]
    apart, _ = modes(ended, torch.tensor([0.0100, 0.0101]), 0.01, 1e9, 4.0)
    assert apart.log_weight.exp().min() > 0.1


def test_far_shift_makes_another_mode() -> None:
    base = pose(0)
    moved = base.retract(torch.tensor([0.2, 0, 0, 0, 0, 0], dtype=torch.float64))
    found, _ = modes(Hypotheses(SE3.stack([base, moved]), torch.zeros(2)), torch.zeros(2), 0.01, 20.0, 4.0)
    assert len(found) == 2


def test_floor_is_added_to_the_covariance_and_singular_information_stays_singular() -> None:
    g = torch.Generator().manual_seed(0)
    a = torch.randn(6, 6, generator=g, dtype=torch.float64)
    information = (a @ a.mT + torch.eye(6, dtype=torch.float64))[None]
    floor = torch.diag(torch.tensor([0.2**2] * 3 + [0.1**2] * 3, dtype=torch.float64))
    expected = torch.linalg.inv(torch.linalg.inv(information[0]) + floor)
    torch.testing.assert_close(with_floor(information, 0.1, 0.2)[0], expected, rtol=1e-8, atol=1e-8)
    assert with_floor(torch.zeros(1, 6, 6), 0.1, 0.2).abs().max() == 0


@pytest.mark.parametrize(
    ("finite", "agreement", "improved", "second", "expected"),
    [
        (False, 0.9, True, 0.0, Status.NON_FINITE),
        (True, 0.1, True, 0.0, Status.NO_AGREEMENT),
        (True, 0.35, True, 0.0, Status.NOT_CONVERGED),
        (True, math.nan, True, 0.0, Status.NO_AGREEMENT),
        (True, 0.9, True, 0.3, Status.AMBIGUOUS),
        (True, 0.9, False, 0.0, Status.NOT_IMPROVED),
        (True, 0.9, True, 0.2, Status.OK),
    ],
)
def test_status(finite: bool, agreement: float, improved: bool, second: float, expected: Status) -> None:
    model = ErrorModel(least_agreement=0.4)
    status = status_of(finite=finite, agreement=agreement, model=model, improved=improved, second_mass=second)
    assert status is expected


def test_bench_forgives_exposure_and_tells_poses_apart() -> None:
    scene, truth = RayBall(), pose(1)
    photo = photograph(scene, truth)
    bench = make_bench(view(scene, photo, 64, Meter(), 1), 500, 0.1, 0)
    near = SE3.stack([truth, turned(truth, 0.5), turned(truth, 5.0)])
    loss = bench.loss(near)
    assert len(bench.index.unique()) == 500
    assert loss[0] < 1e-6
    assert bool((loss.diff() > 0).all())
