"""Turned photos against other ways to the same picture: a world at infinity, and photos turned one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.priors.image2sphere.test_image2sphere import TINY
from tests.priors.rotations.test_view import colour

from resect.data.mask import box_of
from resect.data.rotation_set import RotationSet
from resect.data.rotations.roll import roll_photo
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.priors.image2sphere.fit import fit
from resect.priors.rotations.augment import Variety, augmented
from resect.priors.rotations.view import look
from resect.types import Photo, Target

SIDE = 24
STILL = Variety(count=12, move=0.0, grow=0.0, light=0.0, blur=0.0)


def photos(count: int = 2, *, masked: bool = True, aspect: float = 1.0) -> RotationSet:
    """Directions as colours; an ellipse aside is the object."""
    camera = Camera(150.0, 150.0 * aspect, 81.0, 57.0, 160, 120)
    image = colour(camera.rays(camera.pixels())).view(120, 160, 3)
    x, y = camera.pixels().view(120, 160, 2).unbind(-1)
    mask = ((x - 95) / 30).square() + ((y - 50) / 14).square() < 1
    target = Target("a", box=box_of(mask), mask=mask if masked else None)
    rotation = so3.random(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    names = tuple(map(str, range(count)))
    return RotationSet("views", names, ("a",) * count, rotation, lambda i: Photo(names[i], image, camera, "", target))


def test_pictures_show_what_lies_where_their_camera_looks() -> None:
    data = photos(aspect=0.9, masked=False)
    made = augmented(data, SIDE, Variety(count=8, move=0.1, grow=0.1, light=0.0, blur=0.0))
    assert made.render is not None
    turn = made.rotation @ data.rotation[torch.arange(8) % 2].mT
    middle = made.render(range(8))[:, SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1].mean((1, 2))
    torch.testing.assert_close(middle, colour(turn[:, 2].float()), atol=0.01, rtol=0)
    roll = torch.rad2deg(torch.atan2(turn[:, 1, 0], turn[:, 0, 0]))
    assert float(roll.max() - roll.min()) > 90
    assert [made.photo(i).name for i in (0, 1, 2)] == ["0", "1", "0"]
    torch.testing.assert_close(made.photo(3).image, made.render([3])[0])


def test_a_turned_photo_is_the_photo_turned_and_looked_at() -> None:
    data = photos()
    made, angles = augmented(data, SIDE, STILL), np.random.default_rng(0).uniform(-1, 1, (12, 9))[:, 0] * math.pi
    assert made.render is not None
    pictures = made.render(range(12))
    for i in range(12):
        view = look(roll_photo(data.photo(i % 2), float(angles[i])), SIDE)
        about = so3.exp(torch.tensor([0.0, 0.0, angles[i]], dtype=torch.float64))
        expected = view.turn @ about @ data.rotation[i % 2]
        assert float(so3.angle(made.rotation[i], expected).rad2deg()) < 0.3  # a mask of pixels is turned there
        assert float((pictures[i].permute(2, 0, 1) - view.picture).abs().mean()) < 0.02


def test_light_and_blur_leave_labels_alone() -> None:
    data = photos()
    still, other = augmented(data, SIDE, STILL), augmented(data, SIDE, Variety(count=12, move=0.0, grow=0.0))
    assert still.render is not None
    assert other.render is not None
    assert torch.equal(still.rotation, other.rotation)
    gain = (other.render(range(12)) / still.render(range(12))).flatten(1, 2).median(1).values
    assert float(gain.min()) >= math.exp(-0.41)
    assert float(gain.mean(1).std()) > 0.05
    assert float((gain / gain.mean(1, keepdim=True) - 1).abs().max()) > 0.02


def test_a_setting_makes_training_photos_so() -> None:
    seen: list[float] = []
    settings = replace(TINY, augment=20, roll_deg=180.0, steps=2, batch=4)
    made = fit(photos(), settings, progress=lambda step, of, remark: seen.append(step))
    assert seen[-1] == 2
    assert made.density(photos().photo(0)).log_density.isfinite().all()
    with pytest.raises(ResectError, match="augment"):
        replace(TINY, augment=-1)


def test_what_cannot_be_turned_is_refused() -> None:
    with pytest.raises(ResectError, match="at least one"):
        augmented(photos().subset([]), SIDE)
    bare = photos(1)
    photo = Photo("a", bare.photo(0).image, bare.photo(0).camera)
    with pytest.raises(ResectError, match="box or a mask"):
        augmented(RotationSet("x", ("a",), ("a",), bare.rotation, lambda _: photo), SIDE)
    with pytest.raises(ResectError, match="blur"):
        Variety(blur=9.0)
