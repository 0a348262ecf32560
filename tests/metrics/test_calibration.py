import math

import pytest
import torch
from scipy.stats import binomtest, chi2

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.metrics.calibration import mahalanobis2, reliability, share_inside, wilson


def drawn(count: int, covariance: torch.Tensor, seed: int = 0) -> tuple[SE3, SE3]:
    """Estimates, and truths drawn from exp(δ) @ estimate with δ ~ N(0, Σ)."""
    g = torch.Generator().manual_seed(seed)
    estimate = SE3(
        so3.random(count, generator=g, dtype=torch.float64),
        100 * torch.randn(count, 3, generator=g, dtype=torch.float64),
    )
    noise = torch.randn(count, 6, generator=g, dtype=torch.float64)
    delta = noise @ torch.linalg.cholesky(covariance).mT
    return estimate, SE3.exp(delta) @ estimate


def covariance() -> torch.Tensor:
    g = torch.Generator().manual_seed(5)
    a = torch.randn(6, 6, generator=g, dtype=torch.float64)
    scale = torch.tensor([1e-2, 1e-2, 5e-2, 1e-4, 1e-4, 1e-4], dtype=torch.float64)
    return (a @ a.mT + torch.eye(6, dtype=torch.float64)) * scale[:, None] * scale


def test_d2_of_a_known_step():
    sigma = covariance()
    delta = torch.tensor([0.01, -0.02, 0.03, 1e-4, 2e-4, -1e-4], dtype=torch.float64)
    estimate = SE3(so3.random(1, dtype=torch.float64), torch.tensor([[3.0, -2.0, 5.0]], dtype=torch.float64))
    truth = SE3.exp(delta[None]) @ estimate
    expected = float(delta @ torch.linalg.solve(sigma, delta))
    assert float(mahalanobis2(estimate, truth, sigma[None])) == pytest.approx(expected, rel=1e-6)


def test_d2_follows_chi_square_wherever_the_camera_stands():
    sigma = covariance()
    estimate, truth = drawn(4000, sigma)
    d2 = mahalanobis2(estimate, truth, sigma.expand(4000, 6, 6))
    for level, share in reliability(d2):
        spread = math.sqrt(level * (1 - level) / 4000)
        assert share.value == pytest.approx(level, abs=4 * spread)
    # An overconfident covariance (half the true standard deviations) must show.
    narrow = mahalanobis2(estimate, truth, (sigma / 4).expand(4000, 6, 6))
    assert share_inside(narrow, 0.9).value == pytest.approx(chi2.cdf(chi2.ppf(0.9, 6) / 4, 6), abs=0.03)


def test_wilson_agrees_with_scipy():
    for inside, count in ((0, 10), (9, 10), (53, 59), (59, 59), (180, 200)):
        expected = binomtest(inside, count).proportion_ci(0.95, "wilson")
        share = wilson(inside, count)
        assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert math.isnan(wilson(0, 0).value)
