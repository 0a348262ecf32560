"""Masks as COCO writes them: run lengths (plain or packed into a string) and polygons; their boxes.

Runs are counted down the columns, the first column first, and start with a run of zeros. A packed string holds five
bits a character, least significant first, and from the third run on the difference to the run before the last.
Reference: github.com/cocodataset/cocoapi, whose format this is.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from resect.data.rigid import number
from resect.errors import ResectError

_MOST_PIXELS = 170_000_000
_FIRST = 48  # character of the number 0
Box = tuple[float, float, float, float]


def box_of(mask: Bool[Tensor, "h w"]) -> Box:
    """Edges (left, top, right, bottom) of the smallest box around a mask that is not empty."""
    columns, rows = mask.any(0).nonzero()[:, 0], mask.any(1).nonzero()[:, 0]
    return float(columns[0]), float(rows[0]), float(columns[-1]) + 1, float(rows[-1]) + 1


def encode_runs(mask: Bool[Tensor, "h w"]) -> list[int]:
    """Lengths of the runs, zeros first."""
    flat = mask.cpu().numpy().T.reshape(-1)
    starts = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
    edges = np.concatenate([[0], starts, [flat.size]])
    first = [0] if flat.size and flat[0] else []
    return [*first, *np.diff(edges).tolist()]


def decode_runs(counts: Sequence[int], height: int, width: int, where: object) -> Bool[Tensor, "height width"]:
    """The mask of run lengths, which must fill it exactly."""
    if height < 1 or width < 1 or height * width > _MOST_PIXELS:
        raise ResectError(where, f"a mask of at most {_MOST_PIXELS // 10**6} megapixels", f"{width}x{height}")
    whole = all(isinstance(c, int) and not isinstance(c, bool) and 0 <= c <= height * width for c in counts)
    if not whole or sum(counts) != height * width:
        got = f"runs of {sum(counts)}" if whole else "others"
        raise ResectError(where, f"run lengths that fill {width}x{height} = {width * height} pixels", got)
    values = np.arange(len(counts)) % 2 == 1
    flat = np.repeat(values, np.asarray(counts, dtype=np.int64))
    return torch.from_numpy(np.ascontiguousarray(flat.reshape(width, height).T))


def pack_runs(counts: Sequence[int]) -> str:
    """Run lengths as COCO's string."""
    text = []
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        while True:
            low, rest = rest & 31, rest >> 5
            last = rest == (-1 if low & 16 else 0)
            text.append(chr(_FIRST + (low if last else low | 32)))
            if last:
                break
    return "".join(text)


def unpack_runs(text: str, where: object) -> list[int]:
    """Run lengths of COCO's string."""
    counts: list[int] = []
    value, shift = 0, 0
    for character in text:
        bits = ord(character) - _FIRST
        if not 0 <= bits < 64 or shift > 60:
            raise ResectError(where, "a run-length string of COCO", f"a character {character!r} in it")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise ResectError(where, "a whole run-length string of COCO", "one that is cut short")
    return counts


def mask_from_coco(segmentation: object, size: tuple[int, int], where: object) -> Bool[Tensor, "h w"]:
    """The mask of a `segmentation`: {counts, size [h, w]} or a list of polygons (x, y, x, y, …).

    Args:
        segmentation: from the file.
        size: width and height of the image.
        where: for errors.
    """
    if isinstance(segmentation, list):
        return _polygons(segmentation, size, where)
    if not isinstance(segmentation, dict) or not isinstance(segmentation.get("size"), list):
        raise ResectError(where, "run lengths {counts, size} or a list of polygons", repr(segmentation)[:80])
    counts, shape = segmentation.get("counts"), segmentation["size"]
    if len(shape) != 2 or not all(isinstance(s, int) for s in shape):
        raise ResectError(f"{where}: size", "height and width", repr(shape)[:40])
    if isinstance(counts, str):
        counts = unpack_runs(counts, where)
    if not isinstance(counts, list):
        raise ResectError(f"{where}: counts", "a list of run lengths or a string", type(counts).__name__)
    if tuple(shape) != (size[1], size[0]):
        fix = "COCO writes height before width; the mask must have the image's size."
        raise ResectError(f"{where}: size", f"[{size[1]}, {size[0]}] as the image", str(shape), fix)
    return decode_runs(counts, size[1], size[0], where)


def _polygons(polygons: list[object], size: tuple[int, int], where: object) -> Bool[Tensor, "h w"]:
    """Filled, outline pixels included; coordinates are from the image corner, as COCO's are."""
    from PIL import Image, ImageDraw

    picture = Image.new("1", size)
    draw = ImageDraw.Draw(picture)
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ResectError(where, "polygons of three or more points x, y, x, y, …", repr(polygon)[:60])
        values = [number(where, v) for v in polygon]
        points = [(x - 0.5, y - 0.5) for x, y in zip(values[::2], values[1::2], strict=True)]
        if max(map(abs, values)) > 1e6:
            raise ResectError(where, "points near the image", f"{max(map(abs, values)):.3g}")
        draw.polygon(points, fill=1)
    return torch.from_numpy(np.array(picture))
