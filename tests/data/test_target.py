from pathlib import Path

import pytest
import torch
from PIL import Image

from resect.data.target import on_white, target_from_box, target_from_contour, target_from_mask, with_target
from resect.errors import ResectError
from resect.types import Photo

PHOTO = Photo("scene/a.png", torch.zeros(30, 40, 3))


def test_a_box_is_cut_to_the_photo() -> None:
    assert target_from_box(PHOTO, (5, 6, 20, 21)).box == (5, 6, 20, 21)
    assert target_from_box(PHOTO, (-3, 10, 60, 29.5)).box == (0, 10, 40, 29.5)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((50, 5, 60, 9), "inside scene/a.png \\(40x30\\)"),
        ((-9, 5, 0, 9), "inside scene/a.png"),
        ((20, 20, 10, 5), "x, y, width, height"),
        ((1, 1, 1, 5), "right beyond left"),
        ((1, 2, 3), "four finite"),
        ((1, 2, 3, float("inf")), "four finite"),
    ],
)
def test_boxes_that_cannot_be_meant(box: tuple[float, ...], said: str) -> None:
    with pytest.raises(ResectError, match=said):
        target_from_box(PHOTO, box)


def test_a_mask_gives_its_box(tmp_path: Path) -> None:
    mask = torch.zeros(30, 40, dtype=torch.bool)
    mask[10:20, 5:9] = True
    Image.fromarray((mask.byte() * 255).numpy()).save(tmp_path / "m.png")
    for given in (mask, tmp_path / "m.png", str(tmp_path / "m.png")):
        found = target_from_mask(PHOTO, given, "mug")
        assert (found.object_id, found.box) == ("mug", (5, 10, 9, 20))
        assert found.mask is not None
        assert torch.equal(found.mask, mask)


def test_masks_of_another_size_and_empty_ones(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="size 40x30, got 20x15"):
        target_from_mask(PHOTO, torch.ones(15, 20, dtype=torch.bool))
    with pytest.raises(ResectError, match="an empty one"):
        target_from_mask(PHOTO, torch.zeros(30, 40, dtype=torch.bool))
    Image.new("L", (40, 31), 255).save(tmp_path / "m.png")
    with pytest.raises(ResectError, match="got 40x31"):
        target_from_mask(PHOTO, tmp_path / "m.png")
    with pytest.raises(ResectError, match="no file"):
        target_from_mask(PHOTO, tmp_path / "none.png")


def test_a_contour_is_filled(tmp_path: Path) -> None:
    corners = [(5.0, 5.0), (25.0, 5.0), (25.0, 15.0), (5.0, 15.0)]
    (tmp_path / "c.txt").write_text("# x y\n" + "\n".join(f"{x}, {y}" for x, y in corners))
    for given in (corners, tmp_path / "c.txt"):
        found = target_from_contour(PHOTO, given)
        assert found.mask is not None
        assert 200 <= int(found.mask.sum()) <= 231
    with pytest.raises(ResectError, match="three or more points"):
        target_from_contour(PHOTO, corners[:2])
    with pytest.raises(ResectError, match="an empty one"):
        target_from_contour(PHOTO, [(100.0, 100.0), (120.0, 100.0), (110.0, 120.0)])


def test_the_photo_stays_as_it_is() -> None:
    asked = with_target(PHOTO, target_from_box(PHOTO, (1, 2, 3, 4)))
    assert asked.target is not None
    assert asked.image is PHOTO.image
    assert PHOTO.target is None


def test_all_but_the_mask_turns_white() -> None:
    photo, mask = Photo("one", torch.full((4, 5, 3), 0.25)), torch.zeros(4, 5, dtype=torch.bool)
    mask[1:3, 2:4] = True
    seen = on_white(with_target(photo, target_from_mask(photo, mask)))
    assert torch.equal(seen.image, torch.where(mask[..., None], 0.25, torch.ones(4, 5, 3)))
    assert torch.equal(on_white(photo).image, photo.image)
