"""Pose files as hostile input: numbers become rigid transforms, or an error that names the file and the frame."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3

_ROTATION_TOLERANCE = 1e-3


def rigid_from_matrix(where: object, rows: object) -> SE3:
    """A rigid transform (float64) from nested lists 3×4 or 4×4; a slightly rounded rotation becomes the nearest one.

    Raises:
        ResectError: not such lists, not finite, not a rotation within 1e-3, or another last row than 0 0 0 1.
    """
    matrix = _matrix(where, rows)
    if len(matrix) == 4 and not torch.allclose(matrix[3], matrix.new_tensor([0, 0, 0, 1]), atol=1e-6):
        raise ResectError(where, "a last row 0 0 0 1", str(matrix[3].tolist()), "Is the matrix transposed?")
    return SE3(checked_rotation(where, matrix[:3, :3]), matrix[:3, 3])


def checked_rotation(where: object, matrix: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    """The rotation nearest to a matrix that must already be one within 1e-3."""
    if not bool(matrix.isfinite().all()):
        raise ResectError(where, "a finite rotation", "NaN or infinity")
    gram = matrix.mT @ matrix
    scale = float(gram.trace() / 3) ** 0.5
    if float(torch.linalg.det(matrix)) <= 0:
        fix = "One axis is flipped; a rotation needs none or two flips."
        raise ResectError(where, "a rotation", f"a matrix with determinant {float(torch.linalg.det(matrix)):.3f}", fix)
    off = float((gram - torch.eye(3, dtype=matrix.dtype)).abs().max())
    if off > _ROTATION_TOLERANCE:
        scaled = float((gram / scale**2 - torch.eye(3, dtype=matrix.dtype)).abs().max()) <= _ROTATION_TOLERANCE
        got = f"a rotation times {scale:.4g}" if scaled else f"a matrix with |RᵀR − I| = {off:.2g}"
        raise ResectError(where, "a rotation", got, "Divide the scale out, or export the poses again.")
    return so3.nearest_rotation(matrix)


def rigid_from_quaternion(where: object, wxyz: Sequence[float], t: Sequence[float]) -> SE3:
    """A rigid transform (float64) from a unit quaternion wxyz and a translation."""
    if not all(math.isfinite(x) for x in (*wxyz, *t)):
        raise ResectError(where, "finite numbers", str([*wxyz, *t]))
    length = math.hypot(*wxyz)
    if abs(length - 1) > 1e-2:
        fix = "Check the order of the columns."
        raise ResectError(where, "a unit quaternion", f"length {length:.4g}", fix)
    rotation = so3.from_quaternion(torch.tensor(list(wxyz), dtype=torch.float64))
    return SE3(rotation, torch.tensor(list(t), dtype=torch.float64))


def number(where: object, value: object, *, positive: bool = False) -> float:
    """A finite number from JSON or text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ResectError(where, "a number", repr(value)[:80])
    try:
        result = float(value)
    except (ValueError, OverflowError):
        raise ResectError(where, "a number", repr(value)[:80]) from None
    if not math.isfinite(result) or (positive and result <= 0):
        raise ResectError(where, "a positive number" if positive else "a finite number", str(value)[:80])
    return result


def is_number(word: str) -> bool:
    """Whether a word reads as a number, finite or not."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def numbers(where: object, text: str, count: int | None = None) -> list[float]:
    """Finite numbers from a line of text, separated by blanks or commas."""
    values = [number(where, word) for word in text.replace(",", " ").split()]
    if count is not None and len(values) != count:
        fix = "The file is cut short, or has other columns."
        raise ResectError(where, f"{count} numbers", f"{len(values)}", fix)
    return values


def _matrix(where: object, rows: object) -> Float[Tensor, "r 4"]:
    sized = isinstance(rows, list) and len(rows) in (3, 4) and all(isinstance(r, list) and len(r) == 4 for r in rows)
    if not sized:
        raise ResectError(where, "a matrix of 3 or 4 rows of 4 numbers", repr(rows)[:80])
    values = [[number(where, x) for x in row] for row in rows]  # type: ignore[attr-defined]
    return torch.tensor(values, dtype=torch.float64)
