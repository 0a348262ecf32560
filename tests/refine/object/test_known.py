"""What is known beforehand, against Gaussians and their mixtures in closed form."""

import math

import torch

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.refine.object.known import Known
from resect.types import Hypotheses

SIGMA = 0.1
POSES = SE3(so3.random(20, generator=torch.Generator().manual_seed(0)), torch.tensor([[0.0, 0.0, 3.0]]).expand(20, 3))
INFORMATION = (torch.eye(6) / SIGMA**2).expand(20, 6, 6)


def turned(pose: SE3, angle: float) -> SE3:
    """About the camera's x axis."""
    return pose.retract(torch.tensor([[0.0, 0.0, 0.0, angle, 0.0, 0.0]]))


def test_few_starts_bind_what_came_of_them() -> None:
    starts = Hypotheses(POSES[:2], torch.tensor([0.0, -1.0]), INFORMATION[:2])
    known = Known.of(starts, 16)
    moved = turned(POSES[:2], 0.2)
    torch.testing.assert_close(known.log_density(moved, torch.arange(2)), torch.full((2,), -0.5 * (0.2 / SIGMA) ** 2))
    assert known.term(torch.arange(2), 1.0) is not None
    torch.testing.assert_close(known.weight(torch.arange(2)), torch.tensor([0.0, -1.0]).double())
    nothing = Known.of(Hypotheses(POSES[:2], torch.tensor([0.0, -9.0])), 16)
    assert bool((nothing.log_density(moved, torch.arange(2)) == 0).all())
    assert float(nothing.weight(torch.arange(2)).min()) == -3.0


def test_many_are_one_density_whoever_a_pose_came_of() -> None:
    weight = torch.linspace(0, -4, 20)
    known = Known.of(Hypotheses(POSES, weight, INFORMATION), 16)
    assert known.term(torch.arange(20), 1.0) is None
    assert bool((known.weight(torch.arange(20)) == 0).all())
    found = known.log_density(turned(POSES, 0.15), torch.zeros(20, dtype=torch.long))
    expected = torch.logaddexp(weight - 0.5 * (0.15 / SIGMA) ** 2, torch.tensor(-6.0))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_all_of_many_may_be_wrong() -> None:
    known = Known.of(Hypotheses(POSES, torch.zeros(20), INFORMATION), 16)
    far = SE3(POSES.R, POSES.t + 5)
    torch.testing.assert_close(known.log_density(far, torch.arange(20)), torch.full((20,), -6.0))
    assert len(known.log_density(POSES[:0], torch.arange(0))) == 0
    light = torch.full((20,), -100.0)  # these are not looked at
    light[3] = 0.0
    one = Known.of(Hypotheses(POSES, light, INFORMATION), 16).log_density(POSES[3:5], torch.arange(2))
    torch.testing.assert_close(one, torch.tensor([math.log1p(math.exp(-6)), -6.0]), atol=1e-3, rtol=0)
