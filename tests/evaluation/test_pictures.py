import base64
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from resect.evaluation.pictures import between, gif_uri, jpeg_uri, overlay, slide, to_pil
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.metrics.pose import pose_errors


def flat(value: float, width: int = 20, height: int = 10) -> Image.Image:
    return to_pil(torch.full((height, width, 3), value))


def test_overlays():
    a, b = flat(0.2), flat(0.6)
    split = np.asarray(overlay(a, b, "split"))
    assert split[0, 0, 0] == 51
    assert split[0, 10, 0] == 255
    assert split[0, 15, 0] == 153
    assert np.asarray(overlay(a, b, "blend"))[0, 0, 0] == 102
    assert np.asarray(overlay(a, b, "difference"))[0, 0, 0] == 204
    assert np.asarray(overlay(a, a, "difference")).max() == 0


def test_nan_is_drawn_black():
    assert np.asarray(to_pil(torch.full((2, 2, 3), math.nan))).max() == 0


def test_motion_between_recorded_poses_is_straight_and_passes_through_them():
    g = torch.Generator().manual_seed(0)
    path = list(SE3.exp(0.3 * torch.randn(3, 6, generator=g, dtype=torch.float64)))
    found = between(path, 9)
    assert len(found) == 9
    for k, pose in ((0, path[0]), (4, path[1]), (8, path[2])):
        rotation, translation = pose_errors(found[k], pose)
        assert float(rotation) < 1e-5
        assert float(translation) < 1e-9
    halves = [float(pose_errors(found[2], path[k])[0]) for k in (0, 1)]
    assert halves[0] == pytest.approx(halves[1], rel=1e-6)
    assert len(between(path[:1], 5)) == 1


def test_the_moving_picture_goes_from_start_to_answer_and_stays():
    camera = Camera.from_fov(1.0, 24, 16)
    path = list(SE3.exp(torch.tensor([[0, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0]], dtype=torch.float64)))

    def paint(camera: Camera, pose: SE3) -> torch.Tensor:
        return torch.full((camera.height, camera.width, 3), float(pose.t[0]))

    data = slide(flat(0.0, 48, 32), path, camera, paint, frames=5)
    with Image.open(io.BytesIO(data)) as gif:
        assert (gif.n_frames, gif.size) == (5, (24, 16))
        gif.seek(0)
        assert np.asarray(gif.convert("RGB"))[0, 0, 0] == 0
        gif.seek(4)
        assert abs(int(np.asarray(gif.convert("RGB"))[0, 0, 0]) - 127) <= 1
        assert gif.info["duration"] == 1600
    assert gif_uri(data).startswith("data:image/gif;base64,")


def test_pictures_are_data():
    uri = jpeg_uri(flat(0.5))
    head, data = uri.split(",", 1)
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (20, 10)
