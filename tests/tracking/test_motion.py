import torch

from resect.geometry.se3 import SE3
from resect.tracking.motion import Belief, MotionNoise, begin, innovation, predict, update

NOISE = MotionNoise(shift=0.3, turn_rad=0.2, first_shift=1.0, first_turn_rad=0.5)


def test_a_steady_motion_is_foretold() -> None:
    velocity = torch.tensor([0.3, -0.2, 0.1, 0.2, 0.5, -0.1], dtype=torch.float64)
    start = SE3.exp(torch.tensor([1.0, 2, 3, 0.4, 0.5, 0.6], dtype=torch.float64))
    exact = 1e-8 * torch.eye(6, dtype=torch.float64)
    belief = begin(0.0, start, exact, NOISE)
    for k in (1, 2, 4):
        belief = update(predict(belief, float(k), NOISE), SE3.exp(k * velocity) @ start, exact)
    later = predict(belief, 6.5, NOISE)
    off = (later.cam_from_world @ (SE3.exp(6.5 * velocity) @ start).inverse()).log()
    assert float(off.norm()) < 0.01  # of a motion of 4


def test_covariance_against_sampling() -> None:
    """Where a spread of poses and velocities ends, without noise on the way."""
    g = torch.Generator().manual_seed(0)
    still = MotionNoise(0.0, 0.0, 1.0, 1.0)
    root = 0.02 * torch.randn(12, 12, generator=g, dtype=torch.float64)
    belief = Belief(
        0.0, SE3.exp(torch.ones(6).double()), torch.tensor([0.5, 0, 0.2, 0, 0.6, 0.3]).double(), root @ root.mT
    )
    later = predict(belief, 2.0, still)
    draws = torch.randn(40000, 12, generator=g, dtype=torch.float64) @ root.mT
    ends = SE3.exp(2.0 * (belief.velocity + draws[:, 6:])) @ SE3.exp(draws[:, :6]) @ belief.cam_from_world
    found = torch.cov((ends @ later.cam_from_world.inverse()).log().mT)
    assert float((found - later.pose_covariance).norm() / found.norm()) < 0.05


def test_noise_grows_as_the_integral_of_white_acceleration() -> None:
    belief = Belief(0.0, SE3.identity(dtype=torch.float64), torch.zeros(6).double(), torch.zeros(12, 12).double())
    once = predict(belief, 3.0, NOISE).covariance
    split = predict(predict(belief, 1.3, NOISE), 3.0, NOISE).covariance
    torch.testing.assert_close(once, split)
    torch.testing.assert_close(once[0, 0], torch.tensor(0.3**2 * 27 / 3).double())


def test_surprise_is_chi_square_for_a_right_filter() -> None:
    g = torch.Generator().manual_seed(1)
    sigma = torch.tensor([0.02] * 3 + [0.01] * 3, dtype=torch.float64)
    measured = torch.diag(sigma.square())
    q, wait = NOISE.density().sqrt(), 0.1
    found = []
    for _ in range(4):
        pose, velocity = SE3.identity(dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
        belief = None
        for k in range(40):
            seen = SE3.exp(sigma * torch.randn(6, generator=g, dtype=torch.float64)) @ pose
            if belief is None:
                belief = begin(0.0, seen, measured, NOISE)
            else:
                expected = predict(belief, k * wait, NOISE)
                if k > 5:
                    found.append(float(innovation(expected, seen[None], measured[None])[1]))
                belief = update(expected, seen, measured)
            kick = q * torch.randn(6, generator=g, dtype=torch.float64) * wait**0.5
            pose, velocity = SE3.exp(wait * (velocity + 0.5 * kick)) @ pose, velocity + kick
    assert 5.0 < sum(found) / len(found) < 7.0
