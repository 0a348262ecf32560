"""Cameras that look at a point."""

import math

import pytest
import torch

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at, nearest_point_to_axes, view_sphere


def vector(*x: float) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64)


def assert_rotations(rotation: torch.Tensor) -> None:
    torch.testing.assert_close(so3.nearest_rotation(rotation), rotation, atol=1e-9, rtol=0)


def test_by_hand() -> None:
    # From (0, -5, 0) towards the origin, z up: right is +x, down is -z, ahead is +y.
    cam_from_world = look_at(vector(0, -5, 0), vector(0, 0, 0))
    assert cam_from_world.R.tolist() == [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    assert cam_from_world.t.tolist() == [0, 0, 5]


def test_the_target_is_at_the_middle_and_up_is_up() -> None:
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(50, 3, generator=generator, dtype=torch.float64) * 3
    targets = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    up = vector(0.3, -0.2, 0.9)
    cam_from_world = look_at(centers, targets, up)
    assert_rotations(cam_from_world.R)
    torch.testing.assert_close(cam_from_world.center, centers)
    camera = Camera.from_fov(1.0, 100, 80)
    pixels, _ = camera.project(cam_from_world.apply(targets[:, None]))
    torch.testing.assert_close(pixels, vector(50, 40).expand_as(pixels))
    shifted, valid = camera.project(cam_from_world.apply((targets + 0.05 * up)[:, None]))
    assert (shifted[valid][:, 1] < 40).all()
    torch.testing.assert_close(shifted[..., 0], torch.full_like(shifted[..., 0], 50))


@pytest.mark.parametrize("up", [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, -2, 0), (1, 1, 1)])
@pytest.mark.parametrize("sign", [1, -1])
def test_looking_along_up_is_still_a_rotation(up: tuple[float, ...], sign: int) -> None:
    cam_from_world = look_at(vector(0, 0, 0), sign * vector(*up), vector(*up))
    assert_rotations(cam_from_world.R)
    torch.testing.assert_close(cam_from_world.axis, sign * torch.nn.functional.normalize(vector(*up), dim=0))


def test_view_sphere_is_even_and_looks_inwards() -> None:
    views = view_sphere(200, 2.5, dtype=torch.float64)
    assert_rotations(views.R)
    torch.testing.assert_close(views.center.norm(dim=-1), torch.full((200,), 2.5, dtype=torch.float64))
    torch.testing.assert_close(views.axis, -views.center / 2.5)
    assert views.center.mean(0).norm() < 0.02
    apart = torch.cdist(views.center, views.center) + 10 * torch.eye(200)
    even = 2.5 * math.sqrt(4 * math.pi / 200)  # side of the square that each view has to itself
    assert apart.amin(1).min() > 0.6 * even
    assert apart.amin(1).max() < 1.2 * even


def test_view_sphere_rolls_about_the_axis() -> None:
    plain, rolled = view_sphere(10, 1.0, dtype=torch.float64), view_sphere(10, 1.0, rolls=4, dtype=torch.float64)
    assert len(rolled) == 40
    torch.testing.assert_close(rolled.center, plain.center.repeat_interleave(4, 0))
    torch.testing.assert_close(rolled.axis, plain.axis.repeat_interleave(4, 0))
    angle = so3.angle(plain.R[3].expand(4, 3, 3), rolled.R[12:16])
    torch.testing.assert_close(angle, vector(0, math.pi / 2, math.pi, math.pi / 2))


def test_nearest_point_to_axes_is_where_they_meet() -> None:
    generator = torch.Generator().manual_seed(1)
    meeting = vector(1.0, -2.0, 0.5)
    axes = torch.randn(8, 3, generator=generator, dtype=torch.float64)
    centers = meeting - axes * torch.rand(8, 1, generator=generator, dtype=torch.float64) * 4
    torch.testing.assert_close(nearest_point_to_axes(centers, axes), meeting, atol=1e-4, rtol=0)


def test_nearest_point_to_axes_has_the_least_squared_distance() -> None:
    from scipy.optimize import minimize

    generator = torch.Generator().manual_seed(2)
    centers, axes = torch.randn(2, 9, 3, generator=generator, dtype=torch.float64)
    unit = torch.nn.functional.normalize(axes, dim=-1)

    def cost(x: object) -> float:
        away = torch.as_tensor(x) - centers
        return float((away - (away * unit).sum(-1, keepdim=True) * unit).square().sum())

    best = minimize(cost, centers.mean(0).numpy(), tol=1e-12).x
    torch.testing.assert_close(nearest_point_to_axes(centers, axes), torch.from_numpy(best), atol=1e-4, rtol=0)


def test_nearest_point_to_parallel_axes_is_finite() -> None:
    centers = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    point = nearest_point_to_axes(centers, torch.tensor([[0.0, 0, 1]]).expand(3, 3))
    torch.testing.assert_close(point, centers.mean(0), atol=1e-3, rtol=0)
