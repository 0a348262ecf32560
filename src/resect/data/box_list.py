"""Lists of axis-aligned boxes: `name x_least x_greatest y_least y_greatest z_least z_greatest`, one a line.

The name may be several words: category-level systems write the model and the view.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.pose_list import text_lines
from resect.data.rigid import is_number, number
from resect.errors import ResectError

_LOOKED_AT = 20


@dataclass(frozen=True, eq=False)
class BoxList:
    """Boxes of a file, in its order.

    Attributes:
        names: what each is of.
        corners: least and greatest, float64, in the units of the file.
    """

    names: tuple[str, ...]
    corners: Float[Tensor, "n 2 3"]


def is_box_list(path: Path) -> bool:
    """Whether a file begins like a list of boxes: a name, then six numbers, the greatest not below the least."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        lines = file.read(65536).decode("utf-8", "replace").splitlines()
    rows = [line.split() for line in lines if line.strip() and not line.startswith("#")][:_LOOKED_AT]
    return bool(rows) and all(_is_row(words) for words in rows) and not all(is_number(words[0]) for words in rows)


def read_box_list(path: Path | str) -> BoxList:
    """Reads a list of boxes.

    Raises:
        ResectError: a line that is something else, a box turned inside out, or a name that comes twice.
    """
    names, rows = [], []
    for where, line in text_lines(Path(path)):
        words = line.replace(",", " ").split()
        if len(words) < 7:
            raise ResectError(where, "a name and six numbers", line[:80])
        values = [number(where, word) for word in words[-6:]]
        if any(low > high for low, high in zip(values[::2], values[1::2], strict=True)):
            fix = "The order is x_least x_greatest y_least y_greatest z_least z_greatest."
            raise ResectError(where, "a least number before each greatest", line[:80], fix)
        names.append(" ".join(words[:-6]))
        rows.append(values)
    twice = len(names) - len(set(names))
    if not names or twice:
        raise ResectError(path, "boxes with different names", f"{twice} names twice" if twice else "none")
    return BoxList(tuple(names), torch.tensor(rows, dtype=torch.float64).view(-1, 3, 2).mT)


def _is_row(words: list[str]) -> bool:
    if len(words) < 7 or not all(is_number(w) for w in words[-6:]):
        return False
    values = [float(w) for w in words[-6:]]
    return all(low <= high for low, high in zip(values[::2], values[1::2], strict=True))
