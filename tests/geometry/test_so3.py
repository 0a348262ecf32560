"""Rotations against SciPy, finite differences and group laws, at the singular places too."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.spatial.transform import Rotation
from torch import Tensor

from resect.geometry import so3

ANGLES = [0.0, 1e-12, 1e-7, 1e-3, 0.0999, 0.1001, 1.0, 3.0, math.pi - 1e-3, math.pi - 1e-7, math.pi]
AXES = [(1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0), (0.6, -0.48, 0.64), (-0.7, 0.1, -0.2)]
TOLERANCE = {torch.float64: 1e-14, torch.float32: 1e-6}
vectors = st.lists(st.floats(-2.5, 2.5, allow_nan=False), min_size=3, max_size=3)


def omega(axis: tuple[float, ...], angle: float, dtype: torch.dtype = torch.float64) -> Tensor:
    a = torch.tensor(axis, dtype=torch.float64)
    return (angle * a / a.norm()).to(dtype)


def numeric_jacobian(function: object, at: Tensor, step: float = 1e-6) -> Tensor:
    columns = [(function(at + step * e) - function(at - step * e)) / (2 * step) for e in torch.eye(len(at)).to(at)]  # type: ignore[operator]
    return torch.stack(columns, -1)


def test_hat_is_the_cross_product_and_vee_its_inverse() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close((so3.hat(a) @ b[..., None])[..., 0], torch.linalg.cross(a, b))
    assert torch.equal(so3.vee(so3.hat(a)), a)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("axis", AXES)
def test_exp_equals_scipy(axis: tuple[float, ...], angle: float, dtype: torch.dtype) -> None:
    w = omega(axis, angle, dtype)
    expected = torch.from_numpy(Rotation.from_rotvec(w.double().numpy()).as_matrix())
    found = so3.exp(w)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, atol=5 * TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("angle", ANGLES)
def test_exp_equals_the_matrix_exponential(angle: float) -> None:
    w = omega(AXES[3], angle)
    torch.testing.assert_close(so3.exp(w), torch.from_numpy(expm(so3.hat(w).numpy())), atol=1e-13, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("axis", AXES)
def test_log_equals_scipy(axis: tuple[float, ...], angle: float, dtype: torch.dtype) -> None:
    rotation = so3.exp(omega(axis, angle)).to(dtype)
    found = so3.log(rotation)
    expected = torch.from_numpy(Rotation.from_matrix(rotation.double().numpy()).as_rotvec())
    if angle > math.pi - 1e-4:  # the sign of the axis is a convention there
        expected = expected * torch.sign(expected @ found.double())
    torch.testing.assert_close(found.double(), expected, atol=20 * TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("angle", [a for a in ANGLES if 0 < a < math.pi - 1e-8])
@pytest.mark.parametrize("axis", AXES)
def test_log_inverts_exp_to_relative_precision(axis: tuple[float, ...], angle: float) -> None:
    w = omega(axis, angle)
    rtol = 1e-8 if angle > math.pi - 1e-4 else 1e-10
    torch.testing.assert_close(so3.log(so3.exp(w)), w, atol=1e-16 + 1e-15 * angle, rtol=rtol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("axis", AXES)
def test_gradients_are_finite_and_right(axis: tuple[float, ...], angle: float, dtype: torch.dtype) -> None:
    w = omega(axis, angle, dtype)
    derivative = torch.autograd.functional.jacobian(so3.exp, w)
    assert derivative.isfinite().all()
    expected = numeric_jacobian(so3.exp, w.double())
    torch.testing.assert_close(derivative.double(), expected, atol=1e-8 if dtype == torch.float64 else 2e-6, rtol=0)
    if angle <= math.pi - 1e-3:  # log(exp(w) exp(x)) at x = 0: the inverse right Jacobian; at π log has no derivative
        rotation = so3.exp(w)
        step = torch.zeros(3, dtype=dtype)
        by_step = torch.autograd.functional.jacobian(lambda x: so3.log(rotation @ so3.exp(x)), step)
        assert by_step.isfinite().all()
        double = rotation.double()
        reference = numeric_jacobian(lambda x: so3.log(double @ so3.exp(x)), step.double())
        torch.testing.assert_close(
            by_step.double(), reference, atol=1e-5 if dtype == torch.float64 else 0.02, rtol=1e-3
        )
    else:
        rotation = so3.exp(w).requires_grad_()
        (gradient,) = torch.autograd.grad(so3.log(rotation).sum(), rotation)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("theta", [0.0, 1e-7, 1e-3, 0.0999999, 0.1, 0.1000001, 1.0, 3.1])
def test_coefficients_are_exact_on_both_sides_of_the_switch(theta: float) -> None:
    import mpmath  # torch depends on it through sympy

    mpmath.mp.dps = 50
    t = mpmath.mpf(theta)
    exact = [1.0, 0.5, 1 / 6]
    if theta:
        exact = [float(mpmath.sin(t) / t), float((1 - mpmath.cos(t)) / t**2), float((t - mpmath.sin(t)) / t**3)]
    found = so3.coefficients(torch.tensor(theta * theta, dtype=torch.float64))
    np.testing.assert_allclose([float(x) for x in found], exact, rtol=2e-12)


@given(vectors, vectors)
@settings(max_examples=60, deadline=None)
def test_group_laws(a: list[float], b: list[float]) -> None:
    x, y = so3.exp(torch.tensor(a, dtype=torch.float64)), so3.exp(torch.tensor(b, dtype=torch.float64))
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(x @ x.mT, eye, atol=1e-13, rtol=0)
    assert abs(float(torch.linalg.det(x @ y)) - 1) < 1e-13
    torch.testing.assert_close(so3.exp(so3.log(x @ y)), x @ y, atol=1e-12, rtol=0)
    torch.testing.assert_close(so3.exp(-torch.tensor(a, dtype=torch.float64)), x.mT, atol=1e-14, rtol=0)
    torch.testing.assert_close(so3.from_quaternion(so3.to_quaternion(x)), x, atol=1e-13, rtol=0)
    moved = torch.tensor(b, dtype=torch.float64)
    torch.testing.assert_close(x @ so3.exp(moved) @ x.mT, so3.exp(x @ moved), atol=1e-12, rtol=0)


@given(vectors, vectors)
@settings(max_examples=60, deadline=None)
def test_angle_equals_scipy_magnitude(a: list[float], b: list[float]) -> None:
    ra, rb = Rotation.from_rotvec(a), Rotation.from_rotvec(b)
    found = so3.angle(torch.from_numpy(ra.as_matrix()), torch.from_numpy(rb.as_matrix()))
    assert abs(float(found) - float((ra.inv() * rb).magnitude())) < 1e-7


@pytest.mark.parametrize("angle_deg", [0.0, 1e-3, 0.06, 1.0, 90.0, 179.94, 180.0])
def test_angle_keeps_its_precision_in_float32(angle_deg: float) -> None:
    angle = math.radians(angle_deg)
    rotation = so3.exp(omega(AXES[3], angle, torch.float32))
    found = float(so3.angle(torch.eye(3), rotation))
    assert abs(found - angle) < max(3e-7, 1e-4 * min(angle, math.pi - angle) if angle < 3 else 1e-6)


def test_quaternions_equal_scipy_with_w_first_and_not_negative() -> None:
    rotations = so3.random(200, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    xyzw = torch.from_numpy(Rotation.from_matrix(rotations.numpy()).as_quat(canonical=True))
    torch.testing.assert_close(so3.to_quaternion(rotations), xyzw[:, [3, 0, 1, 2]], atol=1e-13, rtol=0)
    turned = so3.from_quaternion(-3 * so3.to_quaternion(rotations))  # any length, either sign
    torch.testing.assert_close(turned, rotations, atol=1e-13, rtol=0)
    assert so3.to_quaternion(rotations[None]).shape == (1, 200, 4)


def test_quaternions_of_half_turns() -> None:
    half_turns = torch.diag_embed(torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64))
    expected = torch.tensor([[0.0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(so3.to_quaternion(half_turns), expected)


def test_nearest_rotation_is_the_polar_factor_and_never_a_reflection() -> None:
    from scipy.linalg import polar

    generator = torch.Generator().manual_seed(2)
    near = so3.random(20, generator=generator, dtype=torch.float64)
    near = near + 0.1 * torch.randn(20, 3, 3, generator=generator, dtype=torch.float64)
    for matrix in near:
        expected = torch.from_numpy(polar(matrix.numpy())[0])
        torch.testing.assert_close(so3.nearest_rotation(matrix), expected, atol=1e-12, rtol=0)
    mirror = torch.diag(torch.tensor([1.0, 2.0, -0.5], dtype=torch.float64))
    torch.testing.assert_close(so3.nearest_rotation(mirror), torch.eye(3, dtype=torch.float64))


def test_random_is_uniform_and_repeats() -> None:
    one = so3.random(20000, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert torch.equal(one, so3.random(20000, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    assert one.mean(0).abs().max() < 0.02
    angle = so3.angle(torch.eye(3, dtype=torch.float64).expand_as(one), one).sort().values
    haar = (angle - angle.sin()) / math.pi  # distribution function of the angle of a uniform rotation
    uniform = (torch.arange(20000) + 0.5) / 20000
    assert (haar - uniform).abs().max() < 1.63 / math.sqrt(20000)  # Kolmogorov–Smirnov, 1 %
