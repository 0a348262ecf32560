"""Rolled photos: a drawn object turned in the picture equals the object drawn at the turned rotation."""

import math
from dataclasses import replace

import pytest
import torch

from resect.data.rotations.roll import roll_photo, rolled
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.types import Photo, Target


def dots(points: torch.Tensor, camera: Camera) -> torch.Tensor:
    """Smooth spots at points of the camera's frame."""
    at = camera.project(points)[0]
    distance2 = (camera.pixels(dtype=torch.float64)[:, None] - at).square().sum(-1)
    return torch.exp(-distance2 / 8).sum(1).view(camera.height, camera.width, 1).expand(-1, -1, 3).float().clamp(0, 1)


CAMERA = Camera(60.0, 60.0, 30.0, 22.0, 64, 48)
POINTS = torch.tensor([[0.1, 0.05, 1.0], [-0.05, 0.1, 1.0], [0.0, -0.15, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize("angle", [0.7, -2.0, math.pi / 2])
def test_a_rolled_photo_is_the_photo_of_the_turned_object(angle: float) -> None:
    turn = so3.exp(torch.tensor([0.0, 0.0, angle], dtype=torch.float64))
    photo = Photo("a", dots(POINTS, CAMERA), CAMERA, target=Target("x", box=(20.0, 10.0, 40.0, 30.0)))
    found = roll_photo(photo, angle)
    assert float((found.image - dots(POINTS @ turn.mT, CAMERA)).abs().max()) < 0.08
    assert found.target is not None
    assert found.target.box is not None
    left, top, right, bottom = found.target.box
    at = CAMERA.project(POINTS @ turn.mT)[0]
    assert ((at[:, 0] > left) & (at[:, 0] < right) & (at[:, 1] > top) & (at[:, 1] < bottom)).all()


def test_masks_turn_and_boxes_follow_them() -> None:
    mask = torch.zeros(48, 64, dtype=torch.bool)
    mask[20:24, 40:50] = True  # to the right of the principal point
    photo = Photo("a", torch.zeros(48, 64, 3), CAMERA, target=Target("x", mask=mask))
    target = roll_photo(photo, math.pi / 2).target
    assert target is not None
    assert target.box == pytest.approx((28, 32, 32, 42), abs=1)  # below it


def test_sets_turn_with_their_labels() -> None:
    from resect.synthesis.symsol.make import SolidSettings, make_solids

    data = make_solids(SolidSettings(("cube",), images=3, side=48))
    turned = rolled(data, seed=4)
    assert turned.equivalents is not None
    assert data.equivalents is not None
    about = turned.rotation @ data.rotation.mT
    torch.testing.assert_close(about[:, 2], torch.tensor([[0.0, 0.0, 1.0]] * 3).double())
    torch.testing.assert_close(turned.equivalents(1), about[1] @ data.equivalents(1))
    assert not torch.equal(turned.rotation, data.rotation)
    first, again = turned.photo(1), rolled(data, seed=4).photo(1)
    assert torch.equal(first.image, again.image)
    assert float(first.image.mean()) == pytest.approx(float(data.photo(1).image.mean()), rel=0.02)


def test_unknown_or_bent_cameras_are_refused() -> None:
    photo = Photo("a", torch.zeros(48, 64, 3), CAMERA)
    with pytest.raises(ResectError):
        roll_photo(replace(photo, camera=None), 0.1)
    with pytest.raises(ResectError, match="pinhole"):
        roll_photo(replace(photo, camera=replace(CAMERA, model="opencv", distortion=(0.1,))), 0.1)
