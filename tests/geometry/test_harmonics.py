"""Harmonics against SciPy's complex ones, quadrature, matrix exponentials and group laws, in float64."""

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y
from torch import Tensor

from resect.geometry import harmonics, so3

LMAX = 12


def rotations(count: int, seed: int = 0) -> Tensor:
    return so3.random(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def directions(count: int, seed: int = 0) -> Tensor:
    n = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(n, dim=-1)


def degree(values: Tensor, d: int) -> Tensor:
    return values[..., d * d : (d + 1) ** 2]


def test_spherical_harmonics_equal_scipys() -> None:
    n = directions(20)
    found = harmonics.spherical_harmonics(n, LMAX)
    assert found.shape == (20, harmonics.sphere_size(LMAX))
    beta, alpha = torch.acos(n[:, 1]).numpy(), torch.atan2(n[:, 0], n[:, 2]).numpy()
    for d in range(LMAX + 1):
        for m in range(-d, d + 1):
            y = (-1) ** m * sph_harm_y(d, abs(m), beta, alpha) * math.sqrt(4 * math.pi)  # without Condon-Shortley
            expected = y.real if m == 0 else math.sqrt(2) * (y.real if m > 0 else y.imag)
            np.testing.assert_allclose(degree(found, d)[:, d + m], expected, atol=1e-12)


def test_the_first_degrees_are_written_down() -> None:
    n = directions(5)
    found = harmonics.spherical_harmonics(n, 2)
    x, y, z = n.unbind(-1)
    second = [x * z, x * y, y * y - 0.5 * (x * x + z * z), y * z, 0.5 * (z * z - x * x)]
    scale = torch.tensor([15**0.5, 15**0.5, 5**0.5, 15**0.5, 15**0.5], dtype=torch.float64)
    torch.testing.assert_close(found[:, 1:4], 3**0.5 * n)
    torch.testing.assert_close(found[:, 4:], torch.stack(second, -1) * scale)


def test_poles_have_values_and_gradients() -> None:
    poles = torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    found = harmonics.spherical_harmonics(poles, LMAX)
    torch.testing.assert_close(found.square().sum(-1), torch.full((2,), (LMAX + 1.0) ** 2, dtype=torch.float64))
    found.sum().backward()
    assert poles.grad is not None
    assert poles.grad.isfinite().all()


@pytest.mark.parametrize("d", range(LMAX + 1))
def test_wigner_d_turns_harmonics_is_orthogonal_and_a_homomorphism(d: int) -> None:
    q, r, n = rotations(6, 1), rotations(6, 2), directions(6)
    dq, dr = harmonics.wigner_d(q, d), harmonics.wigner_d(r, d)
    torch.testing.assert_close(harmonics.wigner_d(q @ r, d), dq @ dr, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        dr @ dr.mT, torch.eye(2 * d + 1, dtype=torch.float64).expand(dr.shape), atol=1e-12, rtol=0
    )
    before = degree(harmonics.spherical_harmonics(n, d), d)
    after = degree(harmonics.spherical_harmonics((r @ n[..., None])[..., 0], d), d)
    torch.testing.assert_close((dr @ before[..., None])[..., 0], after, atol=1e-12, rtol=0)


def test_degree_one_is_the_rotation_itself() -> None:
    r = rotations(9)
    torch.testing.assert_close(harmonics.wigner_d(r, 1), r)


@pytest.mark.parametrize("d", [1, 4, 9])
def test_generators_are_the_derivatives_of_d(d: int) -> None:
    x = harmonics.generators(d, torch.float64, torch.device("cpu"))
    omega = torch.tensor([0.3, -1.1, 0.7], dtype=torch.float64)
    expected = torch.linalg.matrix_exp((omega[:, None, None] * x).sum(0))
    torch.testing.assert_close(harmonics.wigner_d(so3.exp(omega), d), expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(x[0] @ x[1] - x[1] @ x[0], x[2], atol=1e-12, rtol=0)
    torch.testing.assert_close(x, -x.mT)


def test_swap_is_its_own_inverse_and_exchanges_the_axes() -> None:
    j = harmonics.swap(5, torch.float64, torch.device("cpu"))
    torch.testing.assert_close(j, j.mT, atol=1e-13, rtol=0)
    torch.testing.assert_close(j @ j, torch.eye(11, dtype=torch.float64), atol=1e-13, rtol=0)
    about_x = harmonics.wigner_d(so3.exp(torch.tensor([0.4, 0.0, 0.0], dtype=torch.float64)), 5)
    angle = torch.tensor(0.4, dtype=torch.float64)
    torch.testing.assert_close(harmonics.turn_columns(j, angle) @ j, about_x, atol=1e-13, rtol=0)


def test_angles_round_trip_at_the_poles_too() -> None:
    alpha = torch.tensor([0.3, 2.0, -3.0, 1.0], dtype=torch.float64)
    beta = torch.tensor([0.0, 1e-9, math.pi, 1.2], dtype=torch.float64)
    r = harmonics.from_angles(alpha, beta, alpha.flip(0))
    torch.testing.assert_close(harmonics.from_angles(*harmonics.to_angles(r)), r, atol=1e-14, rtol=0)


def test_dtype_batch_shape_and_single_precision() -> None:
    r = rotations(6).view(2, 3, 3, 3)
    found = harmonics.wigner_d(r.float(), 8)
    assert found.shape == (2, 3, 17, 17)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), harmonics.wigner_d(r, 8), atol=2e-5, rtol=0)


def test_constants_made_in_inference_mode_serve_training_later() -> None:
    harmonics.swap.cache_clear()
    harmonics.generators.cache_clear()
    with torch.inference_mode():
        harmonics.wigner_d(rotations(1), 2)
    angle = torch.tensor([0.1, 0.5, 0.2], dtype=torch.float64, requires_grad=True)
    harmonics.wigner_d_of_angles(*angle, 2).sum().backward()
    assert angle.grad is not None


def test_e3nn_agrees_where_it_is_installed() -> None:
    o3 = pytest.importorskip("e3nn.o3", reason="e3nn is not installed; SciPy is the oracle above")
    n, r = directions(6), rotations(6)
    expected = o3.spherical_harmonics(list(range(9)), n, normalize=True, normalization="component")
    torch.testing.assert_close(harmonics.spherical_harmonics(n, 8), expected, atol=1e-12, rtol=0)
    for d in range(9):  # its constants are of single precision
        expected = o3.wigner_D(d, *o3.matrix_to_angles(r))
        torch.testing.assert_close(harmonics.wigner_d(r, d), expected, atol=1e-5, rtol=0)
