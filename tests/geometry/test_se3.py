"""Rigid transforms against matrix exponentials, finite differences and group laws."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm, logm
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3, pivot

ANGLES = [0.0, 1e-7, 1e-3, 0.0999, 0.1001, 1.0, 3.0, math.pi - 1e-3, math.pi]
AXIS = torch.tensor([0.6, -0.48, 0.64], dtype=torch.float64)
V = torch.tensor([0.4, -1.3, 2.1], dtype=torch.float64)
tangents = st.lists(st.floats(-1.7, 1.7, allow_nan=False), min_size=6, max_size=6)


def xi(angle: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.cat([V, angle * AXIS]).to(dtype)


def twist(x: Tensor) -> Tensor:
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    matrix[:3, :3], matrix[:3, 3] = so3.hat(x[3:]), x[:3]
    return matrix


def random_transforms(count: int, seed: int = 0) -> SE3:
    generator = torch.Generator().manual_seed(seed)
    rotations = so3.random(count, generator=generator, dtype=torch.float64)
    return SE3(rotations, torch.randn(count, 3, generator=generator, dtype=torch.float64))


def assert_same(a: SE3, b: SE3, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a.matrix(), b.matrix(), atol=atol, rtol=0)


@pytest.mark.parametrize("angle", [*ANGLES, 4.0, 7.0])
def test_exp_equals_the_matrix_exponential(angle: float) -> None:
    expected = torch.from_numpy(expm(twist(xi(angle)).numpy()))
    torch.testing.assert_close(SE3.exp(xi(angle)).matrix(), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("angle", [a for a in ANGLES if a < math.pi - 1e-6])
def test_log_equals_the_matrix_logarithm(angle: float) -> None:
    transform = SE3.exp(xi(angle))
    matrix = torch.from_numpy(logm(transform.matrix().numpy()).real.copy())
    expected = torch.cat([matrix[:3, 3], so3.vee(matrix[:3, :3])])
    torch.testing.assert_close(transform.log(), expected, atol=1e-7 if angle > 3.1 else 1e-11, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("angle", ANGLES)
def test_exp_inverts_log(angle: float, dtype: torch.dtype) -> None:
    transform = SE3.exp(xi(angle, dtype))
    back = SE3.exp(transform.log())
    torch.testing.assert_close(
        back.matrix(), transform.matrix(), atol=1e-5 if dtype == torch.float32 else 1e-12, rtol=0
    )
    assert transform.log()[3:].norm() <= math.pi + 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("angle", ANGLES)
def test_gradients_are_finite_and_right(angle: float, dtype: torch.dtype) -> None:
    at = xi(angle, dtype)
    derivative = torch.autograd.functional.jacobian(lambda x: SE3.exp(x).matrix(), at)
    step = 1e-6
    columns = []
    for e in torch.eye(6, dtype=torch.float64):
        up, down = SE3.exp(at.double() + step * e), SE3.exp(at.double() - step * e)
        columns.append((up.matrix() - down.matrix()) / (2 * step))
    atol = 5e-6 if dtype == torch.float32 else 1e-8
    torch.testing.assert_close(derivative.double(), torch.stack(columns, -1), atol=atol, rtol=0)
    if angle < math.pi - 1e-6:
        by_log = torch.autograd.functional.jacobian(lambda x: SE3.exp(x).log(), at)
        # At π − 1e-3 the float32 matrix itself holds the angle to 1e-4 only.
        loose = 2e-2 if dtype == torch.float32 else 1e-6
        torch.testing.assert_close(by_log, torch.eye(6, dtype=dtype), atol=loose, rtol=0)


@given(tangents, tangents, tangents)
@settings(max_examples=60, deadline=None)
def test_group_laws(a: list[float], b: list[float], c: list[float]) -> None:
    x, y, z = (SE3.exp(torch.tensor(t, dtype=torch.float64)) for t in (a, b, c))
    assert_same((x @ y) @ z, x @ (y @ z))
    assert_same(x @ x.inverse(), SE3.identity(dtype=torch.float64))
    assert_same((x @ y).inverse(), y.inverse() @ x.inverse())
    points = torch.tensor([c[:3], b[3:]], dtype=torch.float64)
    torch.testing.assert_close((x @ y).apply(points), x.apply(y.apply(points)), atol=1e-12, rtol=0)
    torch.testing.assert_close((x @ y).matrix(), x.matrix() @ y.matrix(), atol=1e-12, rtol=0)


@given(tangents, tangents)
@settings(max_examples=60, deadline=None)
def test_adjoint_identity(a: list[float], b: list[float]) -> None:
    x, delta = SE3.exp(torch.tensor(a, dtype=torch.float64)), torch.tensor(b, dtype=torch.float64)
    assert_same(x @ SE3.exp(delta) @ x.inverse(), SE3.exp(x.adjoint() @ delta), 1e-11)


def test_adjoint_of_a_product_is_the_product_of_adjoints() -> None:
    x, y = random_transforms(7, 1), random_transforms(7, 2)
    torch.testing.assert_close((x @ y).adjoint(), x.adjoint() @ y.adjoint(), atol=1e-12, rtol=0)


def test_center_and_axis() -> None:
    cam_from_world = random_transforms(5)
    at_center = cam_from_world.apply(cam_from_world.center[:, None])
    torch.testing.assert_close(at_center, torch.zeros_like(at_center), atol=1e-14, rtol=0)
    ahead = cam_from_world.center + 3 * cam_from_world.axis
    expected = torch.tensor([0.0, 0.0, 3.0], dtype=torch.float64).expand(5, 1, 3)
    torch.testing.assert_close(cam_from_world.apply(ahead[:, None]), expected, atol=1e-13, rtol=0)
    assert torch.equal(cam_from_world.center, cam_from_world.inverse().t)


DELTA = torch.tensor([0.1, -0.2, 0.05, 0.3, -0.1, 0.2], dtype=torch.float64)


def test_retract_about_the_camera_is_a_step_on_the_left() -> None:
    start = random_transforms(4)
    torch.testing.assert_close(start.retract(DELTA).matrix(), SE3.exp(DELTA).matrix() @ start.matrix())
    turn = torch.cat([torch.zeros(3, dtype=torch.float64), DELTA[3:]])
    torch.testing.assert_close(start.retract(turn, about="camera").center, start.center)


def test_retract_about_the_world_turns_about_its_origin() -> None:
    start = random_transforms(4)
    torch.testing.assert_close(start.retract(DELTA, about="world").matrix(), start.matrix() @ SE3.exp(DELTA).matrix())
    turn = torch.cat([torch.zeros(3, dtype=torch.float64), DELTA[3:]])
    torch.testing.assert_close(start.retract(turn, about="world").t, start.t)  # the origin stays where it is seen


def test_retract_about_a_point_keeps_it_in_view() -> None:
    start = random_transforms(4)
    pivot = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
    turn = torch.cat([torch.zeros(3, dtype=torch.float64), DELTA[3:]])
    moved = start.retract(turn, about=pivot)
    torch.testing.assert_close(moved.apply(pivot.expand(4, 1, 3)), start.apply(pivot.expand(4, 1, 3)))
    assert (moved.center - start.center).norm(dim=-1).min() > 0.05
    origin = torch.zeros(3, dtype=torch.float64)
    assert_same(start.retract(DELTA, about=origin), start.retract(DELTA, about="world"))


def test_batches_of_any_shape() -> None:
    grid = SE3(torch.eye(3).expand(2, 5, 3, 3), torch.arange(30.0).view(2, 5, 3))
    assert grid.batch_shape == (2, 5)
    assert grid.apply(torch.zeros(2, 5, 7, 3)).shape == (2, 5, 7, 3)
    assert grid[1].batch_shape == (5,)
    assert torch.equal(grid[1, 2].t, grid.t[1, 2])
    single = SE3.identity()
    assert (single @ grid).batch_shape == (2, 5)
    assert SE3.stack([grid, grid]).batch_shape == (2, 2, 5)
    assert len(SE3.cat([grid, grid])) == 4
    assert SE3.identity(3, 2).batch_shape == (3, 2)


def test_matrix_round_trip_and_dtypes() -> None:
    transforms = random_transforms(6)
    assert_same(SE3.from_matrix(transforms.matrix()), transforms, 0.0)
    assert_same(SE3.from_matrix(transforms.matrix()[:, :3]), transforms, 0.0)
    assert transforms.float().t.dtype == torch.float32
    assert transforms.float().double().R.dtype == torch.float64
    assert transforms.to(torch.float16).R.dtype == torch.float16


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.2, 0.2236, 0.23, 1.0, 2.9])
def test_inverse_left_jacobian_is_the_derivative_of_the_log(angle: float) -> None:
    generator = torch.Generator().manual_seed(3)
    axis = torch.nn.functional.normalize(torch.randn(5, 3, generator=generator, dtype=torch.float64), dim=-1)
    shift = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    transform = SE3.exp(torch.cat([shift, angle * axis], -1))
    zero = torch.zeros(5, 6, dtype=torch.float64)
    columns = [
        torch.func.jvp(lambda d: (SE3.exp(d) @ transform).log(), (zero,), (unit.expand_as(zero),))[1]
        for unit in torch.eye(6, dtype=torch.float64)
    ]
    torch.testing.assert_close(transform.inverse_left_jacobian(), torch.stack(columns, -1), rtol=0, atol=1e-12)


def test_which_are_finite() -> None:
    poses = SE3.identity(4)
    broken = SE3(poses.R.clone(), poses.t.clone())
    broken.R[1, 2, 0], broken.t[2, 1] = torch.nan, torch.inf
    assert broken.finite.tolist() == [True, False, False, True]
    assert bool(poses[0].finite)


def test_a_pivot_turns_about_its_point_and_moves_it() -> None:
    point, moved = torch.tensor([[0.3, -0.7, 1.1], [0.0, 2.0, 5.0]], dtype=torch.float64), 1e-6 * DELTA
    step = SE3.exp((pivot(point) @ moved[:, None])[..., 0])
    torch.testing.assert_close(step.apply(point[:, None])[:, 0] - point, moved[:3].expand(2, 3), atol=1e-11, rtol=0)
    torch.testing.assert_close(step.R, SE3.exp(moved).R.expand(2, 3, 3), atol=1e-15, rtol=0)
    torch.testing.assert_close(pivot(-point), torch.linalg.inv(pivot(point)))
    assert pivot(point[0]).shape == (6, 6)
