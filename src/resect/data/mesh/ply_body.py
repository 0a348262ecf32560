"""The values of a PLY file: rows of numbers whose lists may differ in length from row to row."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Shaped

from resect.data.mesh.text import numbers
from resect.errors import ResectError


@dataclass(frozen=True)
class Property:
    """A column.

    Attributes:
        name: in the header.
        type: NumPy's code of a value, without byte order.
        length_type: that of the lists' length; `None` where each row has one value.
    """

    name: str
    type: str
    length_type: str | None


@dataclass(frozen=True)
class Element:
    """A table of `count` rows."""

    name: str
    count: int
    properties: list[Property]


@dataclass(frozen=True, eq=False)
class Lists:
    """A column of lists: how long each is, and their values one after the other."""

    count: Int[np.ndarray, "n"]
    values: Shaped[np.ndarray, "m"]


Columns = dict[str, np.ndarray | Lists]


def read_body(data: bytes, kind: str, elements: list[Element], path: Path) -> dict[str, Columns]:
    """Columns by element and property.

    Text is read as if it were binary and all types were float64, so that there is one way to read.
    """
    if kind == "ascii":
        data = numbers(data, path).tobytes()
        wide = [[Property(p.name, "f8", p.length_type and "f8") for p in e.properties] for e in elements]
        elements = [Element(e.name, e.count, p) for e, p in zip(elements, wide, strict=True)]
    order = ">" if kind == "binary_big_endian" else "<"
    place = 0
    found: dict[str, Columns] = {}
    for element in elements:
        if element.count == 0 or not element.properties:
            found[element.name] = {}
            continue
        columns, place = _rows(data, place, element, order, path)
        found[element.name] = columns
    return found


def _rows(data: bytes, place: int, element: Element, order: str, path: Path) -> tuple[Columns, int]:
    """Columns of an element that begins at `place`, and where the next one begins."""
    lengths = _walk(data, place, element, order, path, rows=1)[1][0]
    fields: list[tuple[str, str, tuple[int, ...]]] = []
    for k, (p, n) in enumerate(zip(element.properties, lengths.tolist(), strict=True)):
        fields += [] if p.length_type is None else [(f"length {k}", order + p.length_type, ())]
        fields += [(str(k), order + p.type, (n,))]
    row = np.dtype(fields)
    end = place + element.count * row.itemsize
    listed = [k for k, p in enumerate(element.properties) if p.length_type is not None]
    if end <= len(data):
        rows = np.frombuffer(data, row, element.count, place)
        if all((rows[f"length {k}"] == lengths[k]).all() for k in listed):
            count = {k: np.full(element.count, lengths[k]) for k in listed}
            flat = {k: rows[str(k)].reshape(-1) for k in range(len(lengths))}
            return _named(element, flat, count), end
    elif not listed:
        raise _cut_short(path, element)
    starts, many, end = _walk(data, place, element, order, path, rows=element.count)
    flat = {k: _gather(data, starts[:, k], many[:, k], order + p.type) for k, p in enumerate(element.properties)}
    return _named(element, flat, {k: many[:, k] for k in listed}), end


def _named(element: Element, flat: dict[int, np.ndarray], count: dict[int, np.ndarray]) -> Columns:
    return {p.name: Lists(count[k], flat[k]) if k in count else flat[k] for k, p in enumerate(element.properties)}


def _walk(
    data: bytes, place: int, element: Element, order: str, path: Path, rows: int
) -> tuple[Int[np.ndarray, "n k"], Int[np.ndarray, "n k"], int]:
    """Where the values of each row and property begin and how many there are, one row after the other; and the end."""
    steps = [
        (p.length_type and struct.Struct(order + np.dtype(p.length_type).char), np.dtype(p.type).itemsize)
        for p in element.properties
    ]
    starts: list[int] = []
    many: list[int] = []
    try:
        for _ in range(rows):
            for length, size in steps:
                count = 1
                if length:
                    count = int(length.unpack_from(data, place)[0])
                    place += length.size
                if not 0 <= count * size <= len(data) - place:
                    raise _cut_short(path, element)
                starts.append(place)
                many.append(count)
                place += count * size
    except (struct.error, ValueError, OverflowError):  # beyond the end; a length that is NaN or infinite
        raise _cut_short(path, element) from None
    shape = (rows, len(steps))
    return np.array(starts, np.int64).reshape(shape), np.array(many, np.int64).reshape(shape), place


def _gather(
    data: bytes, start: Int[np.ndarray, "n"], count: Int[np.ndarray, "n"], type_: str
) -> Shaped[np.ndarray, "m"]:
    """Values at places that follow no rhythm."""
    size = np.dtype(type_).itemsize
    step = np.arange(int(count.sum())) - np.repeat(count.cumsum() - count, count)
    first = np.repeat(start, count) + step * size
    spread = np.frombuffer(data, np.uint8)[first[:, None] + np.arange(size)]
    return spread.view(type_)[:, 0]


def _cut_short(path: Path, element: Element) -> ResectError:
    expected = f"{element.count} rows of '{element.name}'"
    return ResectError(path, expected, "fewer, or lists of impossible length", "The file is cut short; copy it again.")
