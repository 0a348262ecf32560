"""What is asked for in a photo, given by hand: a visible box, a mask, a contour. Checked against the photo.

photo = with_target(photo, target_from_mask(photo, "mug.png"))
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from resect.data.image import read_header, read_mask
from resect.data.mask import box_of, mask_from_coco
from resect.data.pose_list import text_lines
from resect.data.rigid import numbers
from resect.errors import ResectError
from resect.types import Photo, Target


def target_from_box(photo: Photo, box: Sequence[float], object_id: str = "object", where: object = "box") -> Target:
    """From a visible box (left, top, right, bottom) in pixels; what hangs over the image's edges is cut off.

    Raises:
        ResectError: not four finite numbers, no area, or nothing of it inside the photo.
    """
    height, width = photo.image.shape[:2]
    if len(box) != 4 or not all(math.isfinite(x) for x in box):
        raise ResectError(where, "a box of four finite numbers", str(list(box))[:80])
    left, top, right, bottom = (float(x) for x in box)
    if right <= left or bottom <= top:
        fix = "A box is left, top, right, bottom; COCO's and BOP's x, y, width, height are not."
        raise ResectError(where, "right beyond left and bottom below top", str(list(box)), fix)
    inside = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        fix = "Is the box of another photo, or of the photo at another size?"
        raise ResectError(where, f"a box inside {photo.name} ({width}x{height})", str(list(box)), fix)
    return Target(object_id, box=inside)


def target_from_mask(
    photo: Photo, mask: Bool[Tensor, "h w"] | Path | str, object_id: str = "object", where: object = "mask"
) -> Target:
    """From a mask of the visible part, as a tensor or a picture that is not black there; its box is found.

    Raises:
        ResectError: no such picture, another size than the photo's, or nothing in it.
    """
    height, width = photo.image.shape[:2]
    if isinstance(mask, (Path, str)):
        where = mask
        header = read_header(mask)
        got = (header.width, header.height)
    else:
        got = (mask.shape[1], mask.shape[0])
    if got != (width, height):
        fix = "Make the mask from this very photo; it is not resized, because a wrong one would fit too."
        raise ResectError(where, f"a mask of the photo's size {width}x{height}", f"{got[0]}x{got[1]}", fix)
    found = mask if isinstance(mask, Tensor) else read_mask(mask, width, height)
    if not bool(found.any()):
        fix = "Where the object is the mask must not be black."
        raise ResectError(where, "a mask with the object in it", "an empty one", fix)
    return Target(object_id, box=box_of(found), mask=found)


def target_from_contour(
    photo: Photo, points: Sequence[tuple[float, float]] | Path | str, object_id: str = "object"
) -> Target:
    """From the outline of the visible part: points (x, y) in pixels from the image's corner, or a file of them."""
    where: object = "contour"
    if isinstance(points, (Path, str)):
        where = points
        points = [(x, y) for at, line in text_lines(Path(points)) for x, y in [numbers(at, line, 2)]]
    height, width = photo.image.shape[:2]
    flat = [float(v) for point in points for v in point]
    return target_from_mask(photo, mask_from_coco([flat], (width, height), where), object_id, where)


def with_target(photo: Photo, target: Target) -> Photo:
    """The same photo, asked for this."""
    return replace(photo, target=target)


def on_white(photo: Photo) -> Photo:
    """The photo white outside the mask of its target; as it is where there is none."""
    if photo.target is None or photo.target.mask is None:
        return photo
    return replace(photo, image=torch.where(photo.target.mask[..., None], photo.image, 1.0))
