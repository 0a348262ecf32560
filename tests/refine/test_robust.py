"""Robust losses against SciPy's on the same problem, and weights against derivatives of the losses."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from resect.refine.levenberg_marquardt import Normal, solve
from resect.refine.robust import Robust
from resect.refine.rows import normal_of
from resect.types import Linearized

KINDS = ["l2", "l1", "huber", "cauchy", "geman_mcclure"]


@pytest.mark.parametrize("kind", KINDS)
def test_weight_is_derivative_of_loss_over_residual(kind: str) -> None:
    robust = Robust(kind, 0.3)
    r = torch.tensor([-2.0, -0.4, -0.05, 0.01, 0.2, 0.31, 1.7], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(robust.loss(r).sum(), r)
    torch.testing.assert_close(robust.weight(r.detach()), slope / r.detach())


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_half_the_square_near_zero(kind: str) -> None:
    r = torch.tensor([1e-4, -1e-4], dtype=torch.float64)
    torch.testing.assert_close(Robust(kind, 1.0).loss(r), 0.5 * r * r, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("kind", "name"), [("l2", "linear"), ("l1", "soft_l1"), ("huber", "huber"), ("cauchy", "cauchy")]
)
def test_reweighted_least_squares_reaches_the_minimum_scipy_finds(kind: str, name: str) -> None:
    rng = np.random.default_rng(0)
    design, truth = rng.normal(size=(60, 3)), np.array([1.0, -2.0, 0.5])
    values = design @ truth + 0.05 * rng.normal(size=60)
    values[::7] += 5.0
    scale = 0.2
    expected = least_squares(
        lambda x: design @ x - values, np.zeros(3), loss=name, f_scale=scale, xtol=1e-14, ftol=1e-14
    )
    x = torch.zeros(1, 3, dtype=torch.float64)
    jacobian = torch.from_numpy(design)[None]
    for _ in range(300):
        residual = (jacobian @ x[..., None])[..., 0] - torch.from_numpy(values)
        normal = normal_of(Linearized(residual, jacobian, torch.ones_like(residual), ()), Robust(kind, scale))
        x = x + solve(normal, torch.zeros(1, dtype=torch.float64), torch.ones(3, dtype=torch.bool))[0]
    np.testing.assert_allclose(x[0].numpy(), expected.x, atol=1e-5)
    assert normal.loss.item() == pytest.approx(expected.cost, rel=1e-6)


def test_a_singular_problem_gets_no_step_where_nothing_is_known() -> None:
    matrix = torch.diag(torch.tensor([2.0, 0.0, 3.0], dtype=torch.float64))[None]
    normal = Normal(matrix, torch.tensor([[2.0, 0.0, 3.0]], dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    step, good = solve(normal, torch.zeros(1, dtype=torch.float64), torch.ones(3, dtype=torch.bool))
    assert bool(good)
    torch.testing.assert_close(step, torch.tensor([[-1.0, 0.0, -1.0]], dtype=torch.float64), rtol=1e-6, atol=1e-6)
