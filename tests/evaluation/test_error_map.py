import math
import re
from xml.dom import minidom

import torch

from resect.evaluation.error_map import error_map

TRUTH = torch.tensor([[0.0, 0, 1], [1, 0, 1], [2, 0.5, 1], [3, 2, 1], [40, 30, 1]], dtype=torch.float64)


def drawn(found: torch.Tensor, errors: list[float]) -> minidom.Document:
    return minidom.parseString(error_map(TRUTH, found, torch.tensor(errors, dtype=torch.float64), "error, <m>"))


def test_each_answer_is_joined_to_the_truth_and_failures_are_crosses() -> None:
    found = TRUTH + torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    found[1] = torch.nan
    page = drawn(found, [1.0, math.inf, 0.1, 0.001, 1.0])
    clipped = page.getElementsByTagName("g")[0]
    lines, paths = clipped.getElementsByTagName("line"), clipped.getElementsByTagName("path")
    assert len(lines) == 4
    assert len(paths) == 2  # one joins the true centres, one is the cross
    steps = {round(float(n.getAttribute("y1")) - float(n.getAttribute("y2")), 1) for n in lines}
    assert max(steps) - min(steps) <= 0.11  # all were moved alike, upwards on the page
    assert min(steps) > 0
    joined = paths[0].getAttribute("d")
    assert (joined.count("M"), joined.count("L")) == (2, 3)  # the last photo is a jump away


def test_the_greatest_error_is_red_and_the_least_green() -> None:
    page = drawn(TRUTH, [1.0, 0.1, 0.01, 1e-6, 1e-9])
    colours = [n.getAttribute("stroke") for n in page.getElementsByTagName("line") if n.getAttribute("stroke")]
    red, green = (
        tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in (colours[-1], colours[0])
    )  # the worst are drawn last, over the others
    assert red[0] > 2 * red[1]
    assert green[1] > 2 * green[0]
    assert len({c for c in colours if re.fullmatch("#[0-9a-f]{6}", c)}) == 4  # what is below four decades is alike


def test_one_photo_and_no_error_can_be_drawn() -> None:
    one = TRUTH[:1]
    for error in (0.0, 1.0, math.inf):
        found = one if math.isfinite(error) else one * torch.nan
        minidom.parseString(error_map(one, found, torch.tensor([error])))
