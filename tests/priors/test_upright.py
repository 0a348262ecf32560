import math

import pytest
import torch

from resect.data.procedural_shapes.families import draw
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.upright import UprightViews, viewpoint_of, viewpoint_rotation
from resect.types import Photo, Target

CAMERA = Camera(120.0, 120.0, 64.0, 64.0, 128, 128)


def seen_from(azimuth_deg: float, elevation_deg: float, tilt_deg: float = 0.0) -> torch.Tensor:
    return viewpoint_rotation(torch.tensor([[azimuth_deg, elevation_deg, tilt_deg]], dtype=torch.float64).deg2rad())[0]


def test_directions() -> None:
    front = seen_from(0, 0)
    assert torch.allclose(-front[2], torch.tensor([1.0, 0, 0], dtype=torch.float64), atol=1e-12)  # the camera is at +x
    assert torch.allclose(-front[1], torch.tensor([0.0, 1, 0], dtype=torch.float64), atol=1e-12)  # y is up in it
    left = seen_from(90, 0)  # counter-clockwise from above, with y up and x in front, is −z
    assert torch.allclose(-left[2], torch.tensor([0.0, 0, -1], dtype=torch.float64), atol=1e-12)
    assert float(-seen_from(0, 30)[2, 1]) == pytest.approx(0.5)


def test_azimuths_are_wrapped() -> None:
    assert torch.allclose(seen_from(-10, 5), seen_from(350, 5))
    assert torch.allclose(seen_from(359 + 720, 5), seen_from(-1, 5))
    assert float(so3.angle(seen_from(1, 0), seen_from(359, 0)).rad2deg()) == pytest.approx(2)


def test_tilt_turns_the_camera_clockwise() -> None:
    up = seen_from(20, 10, 30) @ torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    # A camera turned clockwise sees upwards turned counter-clockwise: towards −x of the image.
    assert float(up[0]) < 0
    assert math.degrees(math.atan2(-float(up[0]), -float(up[1]))) == pytest.approx(30, abs=0.5)


def test_round_trip() -> None:
    g = torch.Generator().manual_seed(0)
    low, span = torch.tensor([0.0, -1.4, -3.0]), torch.tensor([6.28, 2.8, 6.0])
    viewpoint = (low + span * torch.rand(50, 3, generator=g)).double()
    assert torch.allclose(viewpoint_of(viewpoint_rotation(viewpoint)), viewpoint, atol=1e-9)


def test_one_of_the_views_is_near_the_truth() -> None:
    mesh = draw("chair", "train", 2).mesh().to(torch.float32)
    truth = SE3(seen_from(47, 17), torch.tensor([0.1, -0.05, 2.0], dtype=torch.float64))
    pixels, _ = CAMERA.project(truth.apply(mesh.vertices.double()))
    (left, top), (right, bottom) = pixels.amin(0).tolist(), pixels.amax(0).tolist()
    photo = Photo("chair", torch.ones(128, 128, 3), CAMERA, target=Target("chair", box=(left, top, right, bottom)))
    found = UprightViews.around(mesh).propose(photo, 200, torch.Generator())
    rotations = found.cam_from_world.R
    off = so3.angle(rotations, truth.R.expand_as(rotations)).rad2deg()
    best = int(off.argmin())
    assert float(off[best]) < 8
    assert torch.allclose(found.cam_from_world.t[best], truth.t, atol=0.1)
    assert len(UprightViews.around(mesh).propose(photo, 7, torch.Generator())) == 7
    assert len(UprightViews.around(mesh).propose(Photo("x", photo.image, CAMERA), 7, torch.Generator())) == 0
