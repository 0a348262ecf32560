"""Pixel samplers: their distributions, their limits, their determinism."""

import pytest
import torch

from resect.errors import ResectError
from resect.refine import pixels

CHOICES = ["all", "random", "stratified", "gradient", "buckets", "interest_points", "interest_regions"]


def image() -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 12, 16, generator=g)
    return torch.nn.functional.interpolate(coarse, size=(48, 64), mode="bilinear")[0].movedim(0, -1).contiguous()


@pytest.mark.parametrize("choice", CHOICES)
def test_indices_are_distinct_sorted_allowed_and_repeatable(choice: str) -> None:
    allowed = torch.zeros(48, 64, dtype=torch.bool)
    allowed[:, 20:] = True
    one, two = (pixels.choose(choice, image(), 200, torch.Generator().manual_seed(3), allowed) for _ in range(2))
    assert torch.equal(one, two)
    assert bool((one.diff() > 0).all())
    assert bool(allowed.flatten()[one].all())
    assert choice == "all" or 0 < len(one) <= 200


def test_random_draws_follow_their_weights() -> None:
    weight = torch.tensor([1.0, 2.0, 3.0, 0.0])
    g = torch.Generator().manual_seed(0)
    counts = torch.zeros(4)
    for _ in range(6000):
        counts[pixels.draw(weight, 1, g)] += 1
    assert torch.allclose(counts / 6000, weight / 6, atol=0.025)


def test_stratified_puts_one_pixel_in_each_cell() -> None:
    chosen = pixels.choose("stratified", torch.rand(40, 40, 3), 100, torch.Generator().manual_seed(0))
    cells = (chosen // 40 // 4) * 10 + (chosen % 40) // 4
    assert len(chosen) == 100
    assert len(cells.unique()) == 100


def test_buckets_hold_the_strongest_gradient_of_their_cell() -> None:
    picture = torch.zeros(32, 32, 3)
    picture[:, 17:] = 1.0
    chosen = pixels.choose("buckets", picture, 64, torch.Generator().manual_seed(0))
    columns = chosen % 32
    assert len(chosen) == 64
    assert int(((columns == 16) | (columns == 17)).sum()) == 8


def test_gradient_choice_prefers_edges() -> None:
    picture = torch.zeros(32, 32, 3)
    picture[:, 16:] = 1.0
    chosen = pixels.choose("gradient", picture, 60, torch.Generator().manual_seed(0))
    edge = ((chosen % 32) >= 15) & ((chosen % 32) <= 16)
    assert int(edge.sum()) > 40


def test_interest_regions_are_the_dilated_keypoints() -> None:
    mask = torch.zeros(40, 40, dtype=torch.bool)
    mask[20, 20] = True
    grown = pixels.dilate(mask, size=5, times=3)
    assert int(grown.sum()) == 13 * 13
    assert bool(grown[14, 14])
    assert not bool(grown[13, 20])


def test_interest_points_are_topped_up_where_the_photo_has_none() -> None:
    chosen = pixels.choose("interest_points", torch.full((20, 20, 3), 0.5), 30, torch.Generator().manual_seed(0))
    assert len(chosen) == 30


def test_an_empty_mask_is_an_error() -> None:
    with pytest.raises(ResectError, match="pixels that may be used"):
        pixels.choose("random", image(), 5, torch.Generator(), torch.zeros(48, 64, dtype=torch.bool))
