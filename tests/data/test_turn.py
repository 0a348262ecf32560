"""Camera, picture and pose turn together: a world point stays on its pixel's content."""

import pytest
import torch

from resect.data.turn import turn_cam_from_world, turn_camera, turn_image
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3

CAMERA = Camera(500.0, 510.0, 333.0, 228.0, 640, 480, "opencv", (0.1, -0.05, 0.004, -0.007, 0.01))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("model", ["opencv", "fisheye"])
def test_pixels_turn_like_the_picture(orientation: int, model: str) -> None:
    camera = CAMERA if model == "opencv" else Camera(300.0, 310.0, 333.0, 228.0, 640, 480, "fisheye", (0.1, 0.02))
    generator = torch.Generator().manual_seed(0)
    cam_from_world = SE3.exp(0.1 * torch.randn(6, generator=generator, dtype=torch.float64))
    world = torch.randn(200, 3, generator=generator, dtype=torch.float64) + torch.tensor([0.0, 0.0, 6.0])
    pixels, seen = camera.project(cam_from_world.apply(world))
    turned, seen_turned = turn_camera(camera, orientation).project(
        turn_cam_from_world(cam_from_world, orientation, "x").apply(world)
    )
    assert seen.sum() > 100
    assert torch.equal(seen, seen_turned)
    y, x = torch.meshgrid(torch.arange(480) + 0.5, torch.arange(640) + 0.5, indexing="ij")
    picture = turn_image(torch.stack([x, y], -1).double(), orientation)
    column, row = turned[seen].floor().long().unbind(-1)
    assert (picture[row, column] - pixels[seen]).abs().max() <= 0.5 + 1e-9


def test_a_mirrored_camera_has_no_pose() -> None:
    with pytest.raises(ResectError, match="mirroring"):
        turn_cam_from_world(SE3.identity(), 5, "photo.jpg")


def test_turning_four_times_is_nothing() -> None:
    camera = CAMERA
    for _ in range(4):
        camera = turn_camera(camera, 6)
    assert camera == CAMERA
