"""Names on pictures hide no other ones."""

import numpy as np
from PIL import Image, ImageDraw

from resect.evaluation.names import write_names

RED, GREEN = (255, 0, 0), (0, 255, 0)


def count(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(picture) == np.array(colour)).all(-1).sum())


def written(*named: tuple[tuple[float, float, float, float], str, tuple[int, int, int]]) -> Image.Image:
    picture = Image.new("RGB", (100, 80))
    draw = ImageDraw.Draw(picture)
    draw.fontmode = "1"
    write_names(draw, named)
    return picture


def test_names_of_boxes_at_one_place_stand_below_each_other() -> None:
    box = (20.0, 30.0, 60.0, 60.0)
    alone, both = written((box, "cat", RED)), written((box, "cat", RED), (box, "driller", GREEN))
    assert count(both, RED) == count(alone, RED) > 0
    assert count(both, GREEN) == count(written((box, "driller", GREEN)), GREEN)


def test_a_name_stays_in_the_picture() -> None:
    inner, outer = written(((20, 30, 60, 60), "driller", RED)), written(((95, -5, 99, 20), "driller", RED))
    assert count(outer, RED) >= 0.9 * count(inner, RED)  # glyphs fall on pixels in their own way
