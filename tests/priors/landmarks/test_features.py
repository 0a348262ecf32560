import sys
from dataclasses import replace

import pytest
import torch

from resect.errors import NotInstalledError
from resect.priors.landmarks.features import Features, detect
from resect.types import Photo, Target


def blobs(scale: int = 1) -> tuple[Photo, torch.Tensor]:
    """Gaussian blobs at known places, in pixels with the image's corner as origin."""
    where = torch.tensor([[40.3, 30.7], [90.8, 60.2], [60.5, 100.5], [120.1, 110.9]]) * scale
    y, x = torch.meshgrid(torch.arange(144 * scale) + 0.5, torch.arange(160 * scale) + 0.5, indexing="ij")
    image = torch.full((144 * scale, 160 * scale), 0.1)
    for i, (cx, cy) in enumerate(where.tolist()):
        wide = (3.0 + 0.5 * i) * scale
        image = image + 0.7 * torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * wide**2))
    return Photo("blobs", image[..., None].expand(-1, -1, 3)), where


def look(photo: Photo, max_side: int = 200) -> Features:
    return detect(photo, max_side=max_side, max_features=100, contrast=0.02)


def test_features_lie_at_the_middle_of_blobs() -> None:
    photo, where = blobs()
    nearest = torch.cdist(where, look(photo).pixels).min(1).values
    assert float(nearest.max()) < 0.06  # a quarter pixel is the error of OpenCV's default


def test_a_smaller_working_image_gives_the_photos_own_pixels_and_sizes() -> None:
    small, _ = blobs()
    photo, where = blobs(3)
    found, reference = look(photo, 160), look(small, 160)
    assert float(torch.cdist(where, found.pixels).min(1).values.max()) < 3 * 0.06
    assert found.scale == pytest.approx(3.0)
    nearest = torch.cdist(where, found.pixels).argmin(1)
    same = torch.cdist(where / 3, reference.pixels).argmin(1)
    assert torch.allclose(found.sizes[nearest], 3 * reference.sizes[same], rtol=0.05)


def test_descriptors_are_unit_vectors_and_the_strongest_come_first() -> None:
    found = look(blobs()[0])
    assert torch.allclose(found.descriptors.norm(dim=-1), torch.ones(len(found)), atol=1e-5)
    one = detect(blobs()[0], max_side=200, max_features=1, contrast=0.02)
    assert torch.equal(one.pixels, found.pixels[:1])


@pytest.mark.parametrize("kind", ["mask", "alpha", "target"])
def test_hidden_pixels_have_no_features(kind: str) -> None:
    photo, _ = blobs()
    left = torch.zeros(144, 160, dtype=torch.bool)
    left[:, :75] = True
    hidden = {
        "mask": replace(photo, mask=left),
        "alpha": replace(photo, alpha=left.float()),
        "target": replace(photo, target=Target("thing", mask=left)),
    }[kind]
    found = look(hidden)
    assert len(found) > 0
    assert float(found.pixels[:, 0].max()) < 75


def test_a_plain_photo_has_none() -> None:
    assert len(look(Photo("grey", torch.full((100, 120, 3), 0.5)))) == 0


def test_without_opencv_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(NotInstalledError, match="opencv-python-headless"):
        look(blobs()[0])
