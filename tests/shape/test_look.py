from dataclasses import replace

import pytest
import torch

from resect.errors import ResectError
from resect.shape.look import look
from resect.shape.settings import OccupancySettings
from resect.types import Photo, Target


def square(size: int, left: int, top: int, side: int) -> Photo:
    """A black square on white, with its opacity."""
    image, alpha = torch.ones(size, size, 3), torch.zeros(size, size)
    image[top : top + side, left : left + side] = 0
    alpha[top : top + side, left : left + side] = 1
    return Photo("square", image, alpha=alpha)


def share(picture: torch.Tensor) -> float:
    return float((1 - picture).mean())


@pytest.mark.parametrize("size", [64, 400])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.7])
def test_the_object_fills_the_picture_wherever_it_is(size: int, place: float, tiny: OccupancySettings) -> None:
    photo = square(size, round(place * size), round(0.5 * size), round(0.3 * size))
    picture = look(photo, tiny)
    assert picture.shape == (3, 32, 32)
    assert share(picture) == pytest.approx(1 / 1.1**2, abs=0.02)
    assert torch.allclose(picture, picture.flip(-1), atol=0.1)


def test_mask_box_opacity_and_white_agree(tiny: OccupancySettings) -> None:
    photo = square(90, 20, 30, 40)
    assert photo.alpha is not None
    by_alpha = look(photo, tiny)
    by_white = look(replace(photo, alpha=None), tiny)
    by_box = look(replace(photo, alpha=None, target=Target("x", box=(20.0, 30.0, 60.0, 70.0))), tiny)
    masked = replace(photo, image=torch.rand(90, 90, 3) * (1 - photo.alpha)[..., None], alpha=None)
    by_mask = look(replace(masked, target=Target("x", mask=photo.alpha > 0)), tiny)
    for other in (by_white, by_box, by_mask):
        assert torch.allclose(by_alpha, other, atol=1e-5)


def test_the_whole_picture_is_only_resized(tiny: OccupancySettings) -> None:
    picture = look(square(64, 0, 0, 32), replace(tiny, framing="whole"))
    expected = torch.ones(3, 32, 32)
    expected[:, :16, :16] = 0
    assert torch.allclose(picture, expected)


def test_bad_photos_are_refused(tiny: OccupancySettings) -> None:
    photo = square(64, 10, 10, 20)
    with pytest.raises(ResectError, match="mask"):
        look(replace(photo, target=Target("x", mask=torch.ones(10, 64, dtype=torch.bool))), tiny)
    with pytest.raises(ResectError, match="not background"):
        look(replace(photo, target=Target("x", mask=torch.zeros(64, 64, dtype=torch.bool))), tiny)
    with pytest.raises(ResectError, match="not background"):
        look(Photo("white", torch.ones(20, 20, 3)), tiny)
    with pytest.raises(ResectError, match="box"):
        look(replace(photo, alpha=None, target=Target("x", box=(5.0, 5.0, 5.0, 5.0))), tiny)
