"""Numbers from text, a file at a time."""

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from resect.errors import ResectError


def numbers(text: bytes, where: object) -> Float[np.ndarray, "n"]:
    """All numbers of a text, separated by white space, in float64; `nan` and `inf` are numbers here.

    Raises:
        ResectError: naming the first word that is none.
    """
    text = text.strip()
    if not text:
        return np.empty(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # NumPy 1 only warned of what NumPy 2 refuses
            return np.fromstring(text, sep=" ")
    except (ValueError, DeprecationWarning):
        word = next((w for w in text.split() if not _is_number(w)), text[:20])
        fix = "The file is cut short or damaged; export it again."
        raise ResectError(where, "a number", repr(word.decode(errors="replace")[:40]), fix) from None


def ragged(
    rows: Sequence[bytes], where: object, lines: Int[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "m"], Int[np.ndarray, "n"]]:
    """The numbers of all rows one after the other, and how many each row has.

    Args:
        rows: text of each row.
        where: the file.
        lines: number of each row's line, for errors.
    """
    count = np.fromiter((len(row.split()) for row in rows), np.int64, len(rows))
    try:
        return numbers(b" ".join(rows), where), count
    except ResectError:
        for row, line in zip(rows, lines.tolist(), strict=True):
            numbers(row, f"{where}, line {line}")
        raise


def table(
    rows: Sequence[bytes], width: int, where: object, lines: Int[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n width"], Int[np.ndarray, "n"]]:
    """As `ragged`, as one array of the rows' first `width` columns, NaN where a row is shorter."""
    flat, count = ragged(rows, where, lines)
    if len(rows) and (count == count[0]).all():
        found = flat.reshape(len(rows), -1)[:, :width]
        return np.pad(found, ((0, 0), (0, width - found.shape[1])), constant_values=np.nan), count
    values = np.full((len(rows), width), np.nan)
    row = np.repeat(np.arange(len(rows)), count)
    column = np.arange(len(flat)) - np.repeat(count.cumsum() - count, count)
    kept = column < width
    values[row[kept], column[kept]] = flat[kept]
    return values, count


def indices(values: Float[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
    """Numbers that should be whole as integers; where they are not, one that is out of every range."""
    whole = (np.abs(values) < 2**53) & (values == np.floor(values))
    return np.where(whole, values, -(2.0**62)).astype(np.int64)


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return b"_" not in word
