import math

import pytest
import torch
from tests.priors.planted import LENS, arc, box, observe

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.landmarks.triangulate import (
    Observations,
    across,
    covariance,
    residuals,
    triangulate,
    widest_angle,
)


def test_exact_pixels_give_the_planted_points() -> None:
    g = torch.Generator().manual_seed(0)
    points = box(200, g)
    found = triangulate(observe(points, arc(5), LENS, 0.0, g), 200, robust_px=1.0)
    assert torch.allclose(found, points, atol=1e-9)


def test_fisheye_rays_beyond_ninety_degrees_triangulate_too() -> None:
    fisheye = Camera(180.0, 180.0, 400.0, 400.0, 800, 800, "fisheye", (0.01,))
    g = torch.Generator().manual_seed(1)
    points = torch.tensor([[3.0, 0.0, -0.3], [-2.0, 1.0, -0.2], [0.0, 2.0, 2.0]], dtype=torch.float64)
    cameras = SE3(torch.eye(3, dtype=torch.float64).expand(4, 3, 3), 0.4 * torch.randn(4, 3, generator=g).double())
    found = triangulate(observe(points, cameras, fisheye, 0.0, g), 3, robust_px=1.0)
    assert torch.allclose(found, points, atol=1e-8)


def test_one_wrong_observation_of_six_does_not_pull_the_point() -> None:
    g = torch.Generator().manual_seed(2)
    points = box(100, g)
    seen = observe(points, arc(6), LENS, 0.0, g)
    ray = seen.ray.clone()
    wrong = seen.photo == 3
    ray[wrong] = torch.nn.functional.normalize(
        ray[wrong] + 0.1 * torch.randn(100, 3, generator=g, dtype=torch.float64), dim=-1
    )
    bent = Observations(seen.track, seen.photo, ray, seen.pixel_rad, seen.cam_from_world)
    error = (triangulate(bent, 100, robust_px=1.0) - points).norm(dim=-1)
    plain = (triangulate(bent, 100, robust_px=1e6) - points).norm(dim=-1)
    assert error.median() < 0.003
    assert error.median() < 0.1 * plain.median()


def test_covariance_is_that_of_repeated_draws() -> None:
    g = torch.Generator().manual_seed(3)
    point = torch.tensor([[0.3, -0.2, 0.1]], dtype=torch.float64)
    draws = point.expand(4000, 3)
    seen = observe(draws, arc(4), LENS, 0.5, g)
    found = triangulate(seen, 4000, robust_px=1e3)
    predicted = covariance(seen, found, 0.5)[0]
    drawn = (found - point).T.cov()
    ratio = torch.linalg.eigvals(torch.linalg.solve(predicted, drawn)).real
    assert ratio.min() > 0.85
    assert ratio.max() < 1.15


def test_residual_derivative_agrees_with_differences() -> None:
    g = torch.Generator().manual_seed(4)
    points = box(20, g)
    seen = observe(points, arc(3), LENS, 2.0, g)
    at = points[seen.track]
    _, j, ahead = residuals(seen, at)
    assert bool(ahead.all())
    for axis in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[axis] = 1e-6
        difference = (residuals(seen, at + step)[0] - residuals(seen, at - step)[0]) / 2e-6
        assert torch.allclose(j[..., axis], difference, rtol=1e-5, atol=1e-5 * float(j.abs().max()))


def test_residual_is_the_reprojection_error_in_pixels_near_the_axis() -> None:
    camera = Camera(500.0, 500.0, 320.0, 240.0, 640, 480)
    cameras = SE3.identity(1, dtype=torch.float64)
    point = torch.tensor([[0.0, 0.0, 2.0]], dtype=torch.float64)
    ray = camera.rays(torch.tensor([[323.0, 244.0]], dtype=torch.float64))
    zero = torch.zeros(1, dtype=torch.long)
    seen = Observations(zero, zero, ray, torch.tensor([camera.pixel_rad]).double(), cameras)
    assert float(residuals(seen, point)[0].norm()) == pytest.approx(5.0, rel=1e-3)


def test_widest_angle_of_two_cameras_is_the_angle_between_their_rays() -> None:
    g = torch.Generator().manual_seed(5)
    points = torch.zeros(1, 3, dtype=torch.float64)
    cameras = arc(2)
    seen = observe(points, cameras, LENS, 0.0, g)
    a, b = (torch.nn.functional.normalize(c, dim=-1) for c in cameras.center)
    assert float(widest_angle(seen, points)) == pytest.approx(math.acos(float(a @ b)), rel=1e-6)


def test_vectors_across_a_ray_are_orthonormal() -> None:
    g = torch.Generator().manual_seed(6)
    ray = torch.nn.functional.normalize(torch.randn(50, 3, generator=g, dtype=torch.float64), dim=-1)
    frame = torch.cat([across(ray), ray[:, :, None]], -1)
    assert torch.allclose(frame.mT @ frame, torch.eye(3, dtype=torch.float64).expand(50, 3, 3), atol=1e-12)
