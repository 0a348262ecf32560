"""Planted scenes with known truth: points in a box, cameras on an arc, pixels from the camera model itself."""

import torch
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.priors.landmarks.triangulate import Observations

LENS = Camera(410.0, 405.0, 322.0, 238.0, 640, 480, "opencv", (-0.1, 0.03, 0.0008, -0.0005))


def arc(count: int) -> SE3:
    angle = torch.linspace(-0.5, 0.5, count, dtype=torch.float64)
    centers = torch.stack([4 * angle.sin(), -4 * angle.cos(), 0.3 * (3 * angle).cos()], -1)
    return look_at(centers, torch.zeros_like(centers))


def box(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, 3, generator=generator, dtype=torch.float64) * 2 - 1


def observe(points: Tensor, cameras: SE3, camera: Camera, noise_px: float, generator: torch.Generator) -> Observations:
    """Every camera sees every point, with Gaussian noise in the pixels."""
    pixels, valid = camera.project(cameras.apply(points.expand(len(cameras), *points.shape)))
    assert bool(valid.all())
    pixels = pixels + noise_px * torch.randn(pixels.shape, generator=generator, dtype=torch.float64)
    photo = torch.arange(len(cameras)).repeat_interleave(len(points))
    track = torch.arange(len(points)).repeat(len(cameras))
    angle = torch.full((len(track),), camera.pixel_rad, dtype=torch.float64)
    return Observations(track, photo, camera.rays(pixels).flatten(0, 1), angle, cameras[photo])
