"""Tables of photos to reconstruct: CSV with a box, a mask or a viewpoint for each."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from resect.errors import ResectError

_BOX = ("left", "top", "right", "bottom")
_ANGLES = ("azimuth_deg", "elevation_deg", "tilt_deg")
_KNOWN = ("photo", "mask", *_BOX, *_ANGLES)
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class ViewRow:
    """One photo.

    Attributes:
        photo: the file.
        name: as the table has it.
        mask: image that is not black where the object is, if there is one.
        box: (left, top, right, bottom) of the object in pixels, if given.
        viewpoint_rad: (azimuth, elevation, tilt) in radians, azimuth in [0, 2π), if given.
    """

    photo: Path
    name: str
    mask: Path | None = None
    box: tuple[float, float, float, float] | None = None
    viewpoint_rad: tuple[float, float, float] | None = None


def read_view_table(path: Path) -> list[ViewRow]:
    """Reads a table whose first line names its columns: photo, and any of mask, left top right bottom, azimuth_deg
    elevation_deg tilt_deg. Files are looked for in the table's folder; azimuths may be any number of turns.
    """
    if not path.is_file():
        raise ResectError(path, "a CSV table", "no file")
    if path.stat().st_size > _MOST_BYTES:
        raise ResectError(path, f"at most {_MOST_BYTES >> 20} MiB", f"{path.stat().st_size >> 20} MiB")
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ResectError(path, "a CSV table in UTF-8", str(error)) from None
    columns = set(lines[0]) if lines else set()
    if not lines or "photo" not in columns or columns - set(_KNOWN):
        got = ", ".join(map(str, columns)) or "an empty table"
        raise ResectError(path, f"columns photo and any of {', '.join(_KNOWN[1:])}", got)
    rows = [_row(path, number, line) for number, line in enumerate(lines, start=2)]
    names = [row.name for row in rows]
    if len(set(names)) < len(names):
        raise ResectError(path, "each photo once", next(n for n in names if names.count(n) > 1))
    return rows


def _row(path: Path, number: int, line: dict[str, str | None]) -> ViewRow:
    where = f"{path}, line {number}"
    cell = {k: (line.get(k) or "").strip() for k in _KNOWN}
    if None in line or not cell["photo"]:
        raise ResectError(where, "a photo and as many cells as columns", "something else")
    box, angles = _numbers(cell, _BOX, where), _numbers(cell, _ANGLES, where)
    if box is not None and not (box[0] < box[2] and box[1] < box[3]):
        raise ResectError(where, "left < right and top < bottom", str(tuple(box)))
    viewpoint = None
    if angles is not None:
        viewpoint = (math.radians(angles[0] % 360), math.radians(angles[1]), math.radians(angles[2]))
        if not -90 <= angles[1] <= 90:
            raise ResectError(where, "an elevation from -90 to 90 degrees", f"{angles[1]:g}")
    mask = _inside(path.parent, cell["mask"], where) if cell["mask"] else None
    corners = (box[0], box[1], box[2], box[3]) if box is not None else None
    return ViewRow(_inside(path.parent, cell["photo"], where), cell["photo"], mask, corners, viewpoint)


def _numbers(cell: dict[str, str], names: tuple[str, ...], where: str) -> list[float] | None:
    """The numbers of some columns; `None` where all are empty. A missing tilt is 0."""
    texts = [cell[name] for name in names]
    if not any(texts):
        return None
    if names[-1] == "tilt_deg" and not texts[-1]:
        texts[-1] = "0"
    try:
        found = [float(text) for text in texts]
    except ValueError:
        raise ResectError(where, f"numbers for {', '.join(names)}", repr(texts)) from None
    if not all(map(math.isfinite, found)):
        raise ResectError(where, f"finite numbers for {', '.join(names)}", repr(texts))
    return found


def _inside(folder: Path, name: str, where: str) -> Path:
    found = folder / name
    if not found.resolve().is_relative_to(folder.resolve()):
        raise ResectError(where, "files in the table's folder", repr(name), "Move the table beside the photos.")
    return found
