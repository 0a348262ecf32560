"""Paths of films: where they lie and what they look at."""

import math

import torch

from resect.geometry import so3
from resect.geometry.look_at import look_at
from resect.geometry.paths import orbit, spiral

G = torch.Generator().manual_seed(0)


def test_a_spiral_stays_among_the_cameras_and_looks_at_one_point() -> None:
    turn = so3.exp(torch.tensor([0.3, -1.0, 0.5], dtype=torch.float64))
    offset = torch.rand(20, 3, generator=G, dtype=torch.float64) * torch.tensor([1.0, 0.6, 0.1]) - 0.5
    eyes = offset @ turn + torch.tensor([5.0, 2.0, 1.0])
    ahead = turn[2]
    poses = look_at(eyes, eyes + ahead, -turn[1])
    path = spiral(poses, 4.0, 60)
    target = eyes.mean(0) + 4 * ahead
    toward = torch.nn.functional.normalize(target - path.center, dim=-1)
    torch.testing.assert_close(path.axis, toward, atol=1e-6, rtol=0)
    local = (path.center - eyes.mean(0)) @ turn.mT
    assert float(local[:, 0].abs().max()) < 0.55
    assert float(local[:, 0].abs().max()) > 0.2
    assert float((path.R[:, 1] @ turn[1]).min()) > 0.9
    crossings = (local[:-1, 1] * local[1:, 1] < 0).sum()
    assert int(crossings) == 3 or int(crossings) == 4  # two turns


def test_an_orbit_is_a_circle_of_the_cameras_size() -> None:
    up = torch.nn.functional.normalize(torch.tensor([0.2, 0.1, 1.0]), dim=0)
    target = torch.tensor([1.0, -2.0, 0.5])
    eyes = target + 3 * torch.nn.functional.normalize(torch.randn(50, 3, generator=G) + 0.5, dim=-1)
    poses = look_at(eyes, target.expand(50, 3), up)
    path = orbit(poses, target, up, 24)
    height = (path.center - target.double()) @ up.double()
    torch.testing.assert_close(height, ((eyes - target) @ up).double().mean().expand(24), atol=1e-5, rtol=1e-5)
    radius = (path.center - target.double()).norm(dim=-1)
    assert float(radius.std()) < 1e-6
    step = so3.angle(path.R, path.R.roll(1, 0))
    assert float(step.std()) < 1e-6
    assert 0 < float(step[0]) <= 2 * math.pi / 24 + 1e-6
