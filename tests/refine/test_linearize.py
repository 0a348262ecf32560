"""Jacobians against central differences in float64, by every way a scene may offer."""

import pytest
import torch
from ball import CAMERA, Ball, BlackBall, RayBall, pose

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.refine.linearize import focal_motion, pixel_motion, sensitivity

LENSES = [
    CAMERA,
    Camera(60.0, 62.0, 31.0, 23.0, 64, 48, "opencv", (-0.2, 0.05, 0.01, -0.005)),
    Camera(30.0, 31.0, 31.0, 23.0, 64, 48, "fisheye", (0.1, -0.02)),
]


def poses() -> SE3:
    return SE3.stack([pose(0), pose(1), pose(2)])


def numeric(scene: Ball, camera: Camera, at: SE3, pixels: torch.Tensor, step: float = 1e-5) -> torch.Tensor:
    columns = []
    for axis in torch.eye(6, dtype=torch.float64):
        plus, minus = (
            scene.render(camera, at.retract(s * axis.expand(len(at), 6)), pixels=pixels).rgb for s in (step, -step)
        )
        columns.append((plus - minus) / (2 * step))
    return torch.stack(columns, -1)


@pytest.mark.parametrize("scene", [Ball(), RayBall()], ids=["tangents", "rays"])
@pytest.mark.parametrize("camera", LENSES, ids=["pinhole", "opencv", "fisheye"])
def test_exact_ways_match_central_differences(scene: Ball, camera: Camera) -> None:
    pixels = camera.pixels(stride=7, dtype=torch.float64)
    shown = sensitivity(scene, camera, poses(), pixels)
    torch.testing.assert_close(shown.values, scene.render(camera, poses(), pixels=pixels).rgb)
    torch.testing.assert_close(shown.jacobian, numeric(scene, camera, poses(), pixels), rtol=1e-6, atol=1e-7)


def test_warping_matches_central_differences_of_a_black_box() -> None:
    scene = BlackBall(waves=0.8)
    pixels = CAMERA.pixels(stride=7, dtype=torch.float64)
    shown = sensitivity(scene, CAMERA, poses(), pixels)
    expected = numeric(scene, CAMERA, poses(), pixels)
    assert (shown.jacobian - expected).abs().max() < 2e-3 * expected.abs().max()


@pytest.mark.parametrize("camera", LENSES, ids=["pinhole", "opencv", "fisheye"])
def test_focal_motion_matches_central_differences(camera: Camera) -> None:
    pixels = camera.pixels(stride=5, dtype=torch.float64)
    h = 1e-5
    plus, minus = (camera.with_focal_scale(torch.tensor(s * h).double().exp().item()).rays(pixels) for s in (1, -1))
    torch.testing.assert_close(focal_motion(camera, pixels), (plus - minus) / (2 * h), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("scene", [RayBall(), BlackBall(waves=0.8)], ids=["rays", "warping"])
def test_focal_column(scene: Ball) -> None:
    pixels = CAMERA.pixels(stride=7, dtype=torch.float64)
    shown = sensitivity(scene, CAMERA, poses(), pixels, focal=True)
    assert shown.names[-1] == "log_focal"
    h = 1e-5
    plus, minus = (
        scene.render(CAMERA.with_focal_scale(torch.tensor(s * h).double().exp().item()), poses(), pixels=pixels).rgb
        for s in (1, -1)
    )
    expected = (plus - minus) / (2 * h)
    assert (shown.jacobian[..., 6] - expected).abs().max() < 4e-3 * expected.abs().max()


@pytest.mark.parametrize("camera", LENSES, ids=["pinhole", "opencv", "fisheye"])
def test_motion_of_pixels_matches_central_differences(camera: Camera) -> None:
    pixels = camera.pixels(stride=9, dtype=torch.float64)
    rays, depth = camera.rays(pixels), torch.linspace(0.5, 2.0, len(pixels), dtype=torch.float64)
    points, h = rays / rays[:, 2:] * depth[:, None], 1e-6
    columns = []
    for axis in torch.eye(6, dtype=torch.float64):
        plus, minus = (camera.project(SE3.exp(s * h * axis).apply(points))[0] for s in (1, -1))
        columns.append((plus - minus) / (2 * h))
    inside = (pixels > 1).all(1) & (pixels < torch.tensor([63.0, 47.0])).all(1)
    found = pixel_motion(camera, pixels, depth[None])[0]
    torch.testing.assert_close(found[inside], torch.stack(columns, -1)[inside], rtol=1e-5, atol=1e-5)


def test_a_scene_that_offers_nothing_is_refused() -> None:
    scene = BlackBall(channels=("rgb",))
    with pytest.raises(ResectError, match="a way to differentiate it"):
        sensitivity(scene, CAMERA, poses(), CAMERA.pixels(dtype=torch.float64))
