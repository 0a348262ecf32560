"""Names of what was found, written on a photo so that none hides another."""

import math
from collections.abc import Sequence

from PIL import ImageDraw

Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]


def write_names(draw: ImageDraw.ImageDraw, named: Sequence[tuple[Box, str, Colour]]) -> None:
    """Writes each above the left of its box (left, top, right, bottom), or lower where another stands already."""
    taken: list[Box] = []
    for (left, top, *_), text, colour in named:
        width, height = (math.ceil(side) for side in draw.textbbox((0, 0), text)[2:])
        x, y = max(0.0, min(left, draw.im.size[0] - width - 1)), max(0.0, top - height - 1)
        while any(x < b[2] and x + width > b[0] and y < b[3] and y + height > b[1] for b in taken):
            y += height
        taken.append((x, y, x + width, y + height))
        draw.text((x, y), text, fill=colour)
