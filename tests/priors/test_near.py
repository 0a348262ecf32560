import math

import torch

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.priors.near import Near, squared_distance
from resect.types import Hypotheses, Photo

PHOTO = Photo("x", torch.zeros(4, 4, 3))
MEAN = SE3(so3.exp(torch.tensor([0.3, -0.2, 0.9]).double()), torch.tensor([1.0, 2.0, 3.0]).double())
INFORMATION = torch.diag(torch.tensor([0.1**-2] * 3 + [0.05**-2] * 3, dtype=torch.float64))


class Offsets:
    """Guesses at known distances from the mean."""

    def __init__(self, *deltas: list[float]) -> None:
        self.deltas = torch.tensor(deltas, dtype=torch.float64).reshape(-1, 6)

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        h = len(self.deltas)
        poses = SE3(MEAN.R.expand(h, 3, 3), MEAN.t.expand(h, 3)).retract(self.deltas)
        return Hypotheses(poses, torch.zeros(h), source=tuple(map(str, range(h))))


def test_distance_counts_sigmas() -> None:
    poses = Offsets([0.1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0.1, 0], [0, -0.2, 0, 0, 0, 0]).propose(
        PHOTO, 3, torch.Generator()
    )
    found = squared_distance(poses.cam_from_world, MEAN, INFORMATION)
    torch.testing.assert_close(found, torch.tensor([1.0, 4.0, 4.0], dtype=torch.float64))


def test_far_guesses_are_dropped_and_near_ones_weighed() -> None:
    prior = Offsets([0.1, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0], [0] * 6, [0, 0, 0, 0, 0, math.pi / 2])
    found = Near(prior, MEAN, INFORMATION).propose(PHOTO, 9, torch.Generator())
    assert found.source == ("0", "2")
    torch.testing.assert_close(found.log_weight, torch.tensor([-0.5, 0.0]), atol=1e-6, rtol=0)


def test_unknown_directions_do_not_count() -> None:
    rotation_only = INFORMATION * torch.tensor([0.0] * 3 + [1.0] * 3, dtype=torch.float64)
    prior = Offsets([0.5, 0.5, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.5])
    assert Near(prior, MEAN, rotation_only).propose(PHOTO, 9, torch.Generator()).source == ("0",)


def test_nothing_stays_nothing() -> None:
    assert len(Near(Offsets(), MEAN, INFORMATION).propose(PHOTO, 9, torch.Generator())) == 0
