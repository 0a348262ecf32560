"""Adam: its gradient against LM's, its frames, its determinism."""

import torch
from ball import RayBall, error, photograph, pose

from resect.geometry.se3 import SE3
from resect.refine.first_order import FirstOrderSettings, adam
from resect.refine.objectives import Difference, Gmsd
from resect.refine.view import Meter, View, view


def problem() -> tuple[View, SE3, SE3]:
    scene, truth = RayBall(waves=1.5), pose(3)
    at = view(scene, photograph(scene, truth), 32, Meter(), 64 * 48)
    begin = SE3.stack([truth.retract(torch.tensor([0.03, 0.0, -0.02, 0.02, 0.03, 0.0], dtype=torch.float64))])
    return at, begin, truth


def test_published_settings_converge_in_both_frames() -> None:
    at, begin, truth = problem()
    for frame in ("camera", "world"):
        settings = FirstOrderSettings(steps=150, rays=256, frame=frame)
        end = adam(at, begin, settings, seed=1)
        assert error(end[0], truth)[0] < 0.2 * error(begin[0], truth)[0]
    assert FirstOrderSettings().rays == 2048


def test_steps_are_deterministic_and_reported() -> None:
    at, begin, _ = problem()
    seen: list[int] = []
    settings = FirstOrderSettings(steps=5, rays=64, pixels="interest_regions")
    one = adam(at, begin, settings, seed=4, report=lambda k, pose, loss: seen.append(k))
    two = adam(at, begin, settings, seed=4)
    assert torch.equal(one.t, two.t)
    assert seen == [1, 2, 3, 4, 5]


def test_first_step_goes_along_the_sign_of_the_gradient() -> None:
    at, begin, _ = problem()
    settings = FirstOrderSettings(steps=1, pixels="all", rate=1e-3)
    end = adam(at, begin, settings)
    delta = (end[0] @ begin[0].inverse()).log()
    shown = at.sensitivity(begin)
    residual = shown.values - at.observed[None]
    gradient = (residual[..., None] * shown.jacobian).sum((0, 1, 2))
    torch.testing.assert_close(delta.sign(), -gradient.sign())
    torch.testing.assert_close(delta.abs(), torch.full_like(delta, 1e-3 * 0.8**0.01), rtol=1e-3, atol=1e-6)


def test_objectives_that_are_not_least_squares_are_minimised() -> None:
    at, begin, truth = problem()
    gmsd = Gmsd(*at.shape)
    assert not gmsd.least_squares
    end = adam(at, begin, FirstOrderSettings(steps=60, rate=3e-3), objective=gmsd)
    assert error(end[0], truth)[0] < error(begin[0], truth)[0]
    squares = adam(at, begin, FirstOrderSettings(steps=60, rate=3e-3), objective=Difference())
    assert error(squares[0], truth)[0] < error(begin[0], truth)[0]
