"""Which pixels are compared: random, stratified, strongest gradients in buckets, interest points or regions, a mask.

All samplers work on one photo and return indices into its pixels in row order, sorted, without repetition.
"""

import math
from typing import assert_never

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.data.sift import sift_detector
from resect.errors import ResectError
from resect.refine.first_order_settings import PixelChoice as PixelChoice


def choose(
    choice: PixelChoice,
    image: Float[Tensor, "y x c"],
    count: int,
    generator: torch.Generator,
    allowed: Bool[Tensor, "y x"] | None = None,
) -> Int[Tensor, "n"]:
    """At most `count` pixels of a photo.

    Args:
        choice: how they are drawn. "interest_points" falls back on random pixels where the photo has too few keypoints.
        count: how many; "all" ignores it.
        allowed: pixels that may be used.
    """
    usable = torch.ones(image.shape[:2], dtype=torch.bool) if allowed is None else allowed.cpu()
    if not bool(usable.any()):
        raise ResectError("pixels", "a mask with pixels that may be used", "an empty one")
    match choice:
        case "all":
            return usable.flatten().nonzero()[:, 0]
        case "random":
            weight = usable.float()
        case "gradient":
            weight = usable * (gradient_magnitude(image).cpu() + 0.01)
        case "stratified":
            return _stratified(usable, count, generator)
        case "buckets":
            return _buckets(gradient_magnitude(image).cpu(), usable, count, generator)
        case "interest_points":
            return _topped_up(keypoint_mask(image), usable, count, generator)
        case "interest_regions":
            return _topped_up(dilate(keypoint_mask(image)), usable, count, generator)
        case _ as never:
            assert_never(never)
    return draw(weight.flatten(), count, generator)


def draw(weight: Float[Tensor, "n"], count: int, generator: torch.Generator) -> Int[Tensor, "k"]:
    """Up to `count` distinct indices with probability proportional to weight (the order of exponential arrivals)."""
    positive = int((weight > 0).sum())
    arrival = torch.empty_like(weight, dtype=torch.float64).exponential_(generator=generator) / weight.double()
    return arrival.topk(min(count, positive), largest=False).indices.sort().values


def gradient_magnitude(image: Float[Tensor, "y x c"]) -> Float[Tensor, "y x"]:
    """Length of the gradient of the mean channel, central differences, one-sided at the edges."""
    grey = image.mean(-1)
    if min(grey.shape) < 2:
        return torch.zeros_like(grey)
    dy, dx = torch.gradient(grey)
    return torch.hypot(dx, dy)


def keypoint_mask(image: Float[Tensor, "y x c"]) -> Bool[Tensor, "y x"]:
    """Pixels that hold a SIFT keypoint."""
    grey = (image.mean(-1).clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous().numpy()
    points = sift_detector().detect(grey, None)
    mask = torch.zeros(image.shape[:2], dtype=torch.bool)
    for point in points:
        x, y = point.pt
        mask[min(round(y), mask.shape[0] - 1), min(round(x), mask.shape[1] - 1)] = True
    return mask


def dilate(mask: Bool[Tensor, "y x"], size: int = 5, times: int = 3) -> Bool[Tensor, "y x"]:
    """The mask grown by a size × size box, `times` times (iNeRF's interest regions: 5 × 5, three times)."""
    grown = mask[None, None].float()
    for _ in range(times):
        grown = torch.nn.functional.max_pool2d(grown, size, stride=1, padding=size // 2)
    return grown[0, 0] > 0


def _topped_up(chosen: Tensor, usable: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Chosen pixels first; others only where there are too few."""
    weight = usable.double() * torch.where(chosen, 1.0, 1e-9)
    return draw(weight.flatten(), count, generator)


def _stratified(usable: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """One random pixel in each of about `count` equal cells."""
    height, width = usable.shape
    side = math.sqrt(height * width / count)
    rows, columns = max(1, min(height, int(height / side))), max(1, min(width, int(width / side)))
    y = (torch.arange(rows)[:, None] + torch.rand(rows, columns, generator=generator)) * (height / rows)
    x = (torch.arange(columns)[None] + torch.rand(rows, columns, generator=generator)) * (width / columns)
    index = (y.long().clamp_max(height - 1) * width + x.long().clamp_max(width - 1)).flatten()
    return index[usable.flatten()[index]].unique()


def _buckets(strength: Tensor, usable: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The strongest gradient of each of about `count` square cells; a random subset where the cells are more."""
    height, width = strength.shape
    side = max(1, round(math.sqrt(height * width / count)))
    tall, wide = math.ceil(height / side) * side, math.ceil(width / side) * side
    padded = torch.full((tall, wide), -1.0)
    padded[:height, :width] = torch.where(usable, strength, torch.full_like(strength, -1.0))
    cells = padded.unfold(0, side, side).unfold(1, side, side).flatten(2)
    best, at = cells.max(-1)
    rows, columns = torch.meshgrid(torch.arange(cells.shape[0]), torch.arange(cells.shape[1]), indexing="ij")
    index = (rows * side + at // side) * width + columns * side + at % side
    kept = index[best >= 0]
    return kept[draw(torch.ones(len(kept)), count, generator)].sort().values
