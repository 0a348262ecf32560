"""A photo as an occupancy network sees it: the object on white, cut to a square, small."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.data.image import resize_area
from resect.data.mask import box_of
from resect.errors import ResectError
from resect.shape.settings import OccupancySettings
from resect.types import Photo

_MARGIN = 1.1  # side of the square, in longer sides of the object's box
_MOST_BORDER = 0.5  # of it an object may touch that is cut off by the picture's edge
_WHITE = 0.06  # a pixel that differs less from white is background, where nothing else tells


def look(photo: Photo, settings: OccupancySettings) -> Float[Tensor, "3 s s"]:
    """RGB in [0, 1].

    What is the object is told by the target's mask, else by transparency; its background turns white. Else by the
    target's box, else by what is not white.

    Raises:
        ResectError: mask of another size, or nothing to be seen.
    """
    image = photo.image.float()
    mask = photo.target.mask if photo.target is not None else None
    if mask is not None:
        if mask.shape != image.shape[:2]:
            sizes = ("x".join(str(s) for s in reversed(x)) for x in (image.shape[:2], mask.shape))
            raise ResectError(f"{photo.name}: mask", f"the photo's size {next(sizes)}", next(sizes))
        image = torch.where(mask[..., None], image, 1.0)
    opaque = mask.float() if mask is not None else photo.alpha
    if settings.framing == "whole":
        return resize_area(image, settings.side, settings.side).permute(2, 0, 1)
    box = photo.target.box if photo.target is not None and mask is None else None
    if box is None:
        seen = opaque > 0.5 if opaque is not None else _not_white(image)
        if not bool(seen.any()):
            got = "nothing that is not background"
            raise ResectError(photo.name, "a photo with an object in it", got, "Give a mask.")
        box = box_of(seen)
    return _cut(image, box, settings.side)


def before_white(photo: Photo) -> Bool[Tensor, "h w"]:
    """Where a photo is not white: the object, if its background is white.

    Raises:
        ResectError: most of the photo's border is not white, or nothing else is.
    """
    seen = _not_white(photo.image.float())
    border = torch.cat([seen[0], seen[-1], seen[1:-1, 0], seen[1:-1, -1]])
    if bool(seen.any()) and float(border.float().mean()) <= _MOST_BORDER:
        return seen
    got = "a border of other colours" if bool(seen.any()) else "nothing that is not white"
    fix = "Give --mask, or a box in a --batch table."
    raise ResectError(photo.name, "an object before white, or a mask", got, fix)


def _not_white(image: Float[Tensor, "h w 3"]) -> Bool[Tensor, "h w"]:
    return ((1 - image) > _WHITE).any(-1)


def mirrored(points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Points in the plane z = 0's mirror: what is true of them there shows the flipped picture."""
    return points * torch.tensor([1.0, 1.0, -1.0]).to(points)


def _cut(image: Float[Tensor, "h w 3"], box: tuple[float, float, float, float], side: int) -> Float[Tensor, "3 s s"]:
    """The square around a box, at a new size; white beyond the image."""
    left, top, right, bottom = box
    reach = max(right - left, bottom - top) * _MARGIN / 2
    if not reach > 0:
        raise ResectError("box", "left < right and top < bottom", str(box))
    center = torch.tensor([(left + right) / 2, (top + bottom) / 2])
    shrink = int(2 * reach / side)
    if shrink >= 2:  # bilinear sampling would skip pixels
        height, width = image.shape[:2]
        new_width, new_height = max(1, round(width / shrink)), max(1, round(height / shrink))
        scale = torch.tensor([new_width / width, new_height / height])
        image = resize_area(image, new_width, new_height)
        center, extent = center * scale, reach * scale
    else:
        extent = torch.tensor([reach, reach])
    step = (torch.arange(side) + 0.5) / side * 2 - 1
    x, y = center[0] + extent[0] * step, center[1] + extent[1] * step
    size = torch.tensor([image.shape[1], image.shape[0]])
    grid = torch.stack(torch.meshgrid(2 * x / size[0] - 1, 2 * y / size[1] - 1, indexing="xy"), -1)
    dark = (1 - image).permute(2, 0, 1)[None]  # beyond the edge nothing is dark
    found = torch.nn.functional.grid_sample(dark, grid[None].to(dark), align_corners=False)[0]
    return (1 - found).clamp(0, 1)
