from dataclasses import replace

import pytest
import torch

from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.geometry import so3
from resect.types import Photo

ROTATION = so3.exp(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double())
WHOLE = RotationSet(
    "made",
    ("a", "b", "c", "d"),
    ("cup", "ball", "cup", "cup"),
    ROTATION,
    lambda i: Photo("abcd"[i], torch.full((2, 2, 3), i / 4)),
    equivalents=lambda i: ROTATION[i : i + 1],
    render=lambda rows: torch.stack([torch.full((2, 2, 3), i / 4) for i in rows]),
)


def test_a_subset_is_of_its_own_images() -> None:
    part = WHOLE.subset([3, 1])
    assert len(part) == 2
    assert part.known == ("ball", "cup")
    assert (part.photo(0).name, part.categories[1]) == ("d", "ball")
    assert part.equivalents is not None
    assert part.render is not None
    assert torch.equal(part.equivalents(1)[0], part.rotation[1])
    assert torch.equal(part.render([1, 0])[1], part.photo(0).image)


def test_labels_must_be_rotations_and_as_many_as_images() -> None:
    for wrong in (-ROTATION, 1.1 * ROTATION, ROTATION * torch.nan):
        with pytest.raises(ResectError, match="rotation matrices"):
            replace(WHOLE, rotation=wrong)
    with pytest.raises(ResectError, match="as many"):
        replace(WHOLE, rotation=ROTATION[:3])


def test_some_images_are_spread_over_the_set() -> None:
    many = WHOLE.subset([0] * 11)
    assert many.spread(3) == [0, 5, 10]
    assert many.spread(100) == list(range(11))
    assert many.spread(1) == [0]
