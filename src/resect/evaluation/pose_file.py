"""The Pose file: a CSV of answers, one row a mode, best first; a failed photo is one row without a pose.

    # resect-poses 1 | cam_from_world | opencv camera | quaternion wxyz | unit m
    photo,target,mode,status,qw,qx,qy,qz,tx,ty,tz,log_weight,camera_source,oracle,seconds,c00,c01,…,c55

`c` is the upper triangle, row by row, of the covariance of δ = (v, ω) in exp(δ) @ cam_from_world. Numbers are written
so that they read back to the same float64. Files of others may stop after `tz`; quite other files are read by
`pose_list`.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import write_atomic
from resect.errors import ResectError, unknown_name
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.types import Estimate, Hypotheses, Status, Target

Unit = Literal["m", "scene"]
_MAGIC = "# resect-poses"
_NEEDED = ("photo", "target", "mode", "status", "qw", "qx", "qy", "qz", "tx", "ty", "tz")
_UPPER = tuple((i, j) for i in range(6) for j in range(i, 6))
COLUMNS = (*_NEEDED, "log_weight", "camera_source", "oracle", "seconds", *(f"c{i}{j}" for i, j in _UPPER))
MAX_BYTES = 512 << 20

UNREADABLE = "UNREADABLE"
ERROR = "ERROR"
_FILE_STATUS = {
    UNREADABLE: (False, "The photo could not be used.", "See log.jsonl in the run's folder for what is wrong with it."),
    ERROR: (False, "resect failed on this photo; this is a bug.", "Report it with the lines of log.jsonl."),
}


@dataclass(frozen=True, eq=False)
class PoseRow:
    """One mode of one answer, or one failure.

    Attributes:
        photo: path relative to the data folder.
        status: name of a `Status`, or "UNREADABLE" or "ERROR", which are about the file and the program.
        cam_from_world: float64; `None` for a failure.
        target: what the pose is of; "" is the place itself.
        mode: 0 is the best.
        log_weight: log mass of the mode.
        camera_source: where the intrinsics came from.
        oracle: whether the start was made from the truth.
        seconds: from decoded photo to answer.
        covariance: of δ = (v, ω), world units and radians.
    """

    photo: str
    status: str
    cam_from_world: SE3 | None
    target: str = ""
    mode: int = 0
    log_weight: float | None = None
    camera_source: str = ""
    oracle: bool = False
    seconds: float | None = None
    covariance: Float[Tensor, "6 6"] | None = None


@dataclass(frozen=True, eq=False)
class PoseList:
    """What a file of poses holds, in the file's order.

    Attributes:
        rows: poses and failures.
        unit: of translations: metres, or the scene's own unit.
        format: which kind of file it was.
        notes: what the reader wants to be known.
    """

    rows: tuple[PoseRow, ...]
    unit: Unit
    format: str
    notes: tuple[str, ...] = field(default=())

    def groups(self) -> dict[tuple[str, str], tuple[PoseRow, ...]]:
        """(photo, target) → its modes, best first."""
        found: dict[tuple[str, str], list[PoseRow]] = {}
        for row in self.rows:
            found.setdefault((row.photo, row.target), []).append(row)
        return {key: tuple(sorted(rows, key=lambda r: r.mode)) for key, rows in found.items()}

    @property
    def photos(self) -> int:
        """How many photos (or objects in photos) were answered, failures included."""
        return len({(r.photo, r.target) for r in self.rows})

    @property
    def failed(self) -> int:
        """How many of them have no pose."""
        return sum(r.cam_from_world is None for r in self.rows)


def read_poses(path: Path, unit: Unit = "m") -> PoseList:
    """Reads a Pose file, or a list, trajectory or folder of another system; which one stands in `notes`.

    Args:
        path: file or folder.
        unit: of translations, where the file does not say; the lists known here are in metres.
    """
    from resect.evaluation.pose_list import parse_list, read_folder

    path = Path(path)
    if path.is_dir():
        return read_folder(path, unit)
    if not path.is_file():
        raise ResectError(path, "a file of poses", "no file")
    if path.stat().st_size > MAX_BYTES:
        raise ResectError(path, f"at most {MAX_BYTES >> 20} MiB", f"{path.stat().st_size >> 20} MiB")
    try:
        text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ResectError(path, "a text file in UTF-8", f"byte {error.start} that is not") from None
    return parse_pose_file(text, path) if text.startswith(_MAGIC) else parse_list(text, path, unit)


def status_facts(name: str, where: object = "status") -> tuple[bool, str, str]:
    """(whether there is a pose, what happened, what to do) of a status in a file."""
    if name in _FILE_STATUS:
        return _FILE_STATUS[name]
    if name not in Status.__members__:
        raise unknown_name(where, name, [*Status.__members__, *_FILE_STATUS])
    status = Status[name]
    return status.ok, status.sentence, status.advice


def target_name(target: Target | None) -> str:
    """What stands in the column `target`: the object, and #1, #2, … for further instances of it in the same photo."""
    if target is None:
        return ""
    return f"{target.object_id}#{target.instance}" if target.instance else target.object_id


def rows_of(photo: str, estimate: Estimate, *, seconds: float | None = None, target: str = "") -> tuple[PoseRow, ...]:
    """The rows of one answer: its modes, or one row for a failure."""
    modes, source, oracle = estimate.modes, estimate.camera_source, False
    if modes is not None:
        oracle = modes.oracle
    if not estimate.ok or modes is None or len(modes) == 0:
        return (PoseRow(photo, estimate.status.name, None, target, 0, None, source, oracle, seconds),)
    poses = modes.cam_from_world.double().to("cpu")
    if not bool(torch.isfinite(poses.matrix()).all()):
        return (PoseRow(photo, Status.NON_FINITE.name, None, target, 0, None, source, oracle, seconds),)
    return tuple(
        PoseRow(
            photo,
            estimate.status.name,
            poses[k],
            target,
            k,
            float(modes.log_weight[k]),
            source,
            oracle,
            seconds,
            _covariance(modes, k),
        )
        for k in range(len(modes))
    )


def _covariance(modes: Hypotheses, k: int) -> Float[Tensor, "6 6"] | None:
    """Inverse information where all six directions are known."""
    if modes.information is None:
        return None
    factor, failed = torch.linalg.cholesky_ex(modes.information[k].double().to("cpu"))
    if int(failed) or not bool(torch.isfinite(factor).all()):
        return None
    return torch.cholesky_inverse(factor)


def header(unit: Unit) -> str:
    """The first two lines."""
    return f"{_MAGIC} 1 | cam_from_world | opencv camera | quaternion wxyz | unit {unit}\n{','.join(COLUMNS)}\n"


def to_text(rows: Iterable[PoseRow]) -> str:
    """Lines of the file, without the header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        check_name(row.photo, "pose file")
        writer.writerow(_cells(row))
    return buffer.getvalue()


def _cells(row: PoseRow) -> list[str]:
    numbers = [""] * 7
    if row.cam_from_world is not None:
        q = so3.to_quaternion(row.cam_from_world.R.double())
        numbers = [repr(x) for x in [*q.tolist(), *row.cam_from_world.t.double().tolist()]]
    upper = [""] * len(_UPPER)
    if row.covariance is not None:
        c = row.covariance.double()
        c = 0.5 * (c + c.mT)  # a product of matrices is symmetric but for the last bits, and only one half is written
        upper = [repr(c[i, j].item()) for i, j in _UPPER]
    weight = "" if row.log_weight is None else repr(row.log_weight)
    seconds = "" if row.seconds is None else repr(row.seconds)
    tail = [weight, row.camera_source, str(int(row.oracle)), seconds]
    return [row.photo, row.target, str(row.mode), row.status, *numbers, *tail, *upper]


def write_poses(path: Path, rows: Iterable[PoseRow], unit: Unit, *, overwrite: bool = False) -> None:
    """Writes a whole Pose file, or nothing."""
    if path.exists() and not overwrite:
        raise ResectError(path, "a file that does not exist yet", "an existing one", "Use another name or --overwrite.")
    write_atomic(path, (header(unit) + to_text(rows)).encode())


def parse_pose_file(text: str, where: object) -> PoseList:
    """Reads a Pose file's text; every error names the line."""
    lines = text.replace("\r\n", "\n").split("\n")
    unit = _unit(lines[0] if lines else "", where)
    names = tuple(lines[1].split(",")) if len(lines) > 1 else ()
    if names[: len(_NEEDED)] != _NEEDED:
        raise ResectError(f"{where}: line 2", f"columns {','.join(_NEEDED)},…", ",".join(names)[:200] or "nothing")
    for name in names[len(_NEEDED) :]:
        if name not in COLUMNS:
            raise unknown_name(f"{where}: line 2: column", name, COLUMNS)
    rows = tuple(_rows(lines[2:], names, where))
    _check_modes(rows, where)
    return PoseList(rows, unit, "resect")


def _unit(first: str, where: object) -> Unit:
    parts = [p.strip() for p in first.split("|")]
    wanted = [f"{_MAGIC} 1", "cam_from_world", "opencv camera", "quaternion wxyz"]
    for unit in ("m", "scene"):
        if parts == [*wanted, f"unit {unit}"]:
            return unit
    expected = f"'{' | '.join(wanted)} | unit m' or 'unit scene'"
    raise ResectError(f"{where}: line 1", expected, repr(first[:200]), "Other conventions must be converted first.")


def _rows(lines: Sequence[str], names: tuple[str, ...], where: object) -> Iterator[PoseRow]:
    reader = csv.reader(lines, strict=True)
    try:
        for number, cells in enumerate(reader, start=3):
            if cells:
                yield _row(dict(zip(names, cells, strict=False)), len(cells), len(names), f"{where}: line {number}")
    except csv.Error as error:
        raise ResectError(f"{where}: line {reader.line_num + 2}", "comma separated values", str(error)) from None


def _row(cell: dict[str, str], found: int, wanted: int, where: str) -> PoseRow:
    if found != wanted:
        fix = "The line may have been cut short; predict again to finish it." if found < wanted else ""
        raise ResectError(where, f"{wanted} columns", str(found), fix)
    check_name(cell["photo"], where)
    ok, _, _ = status_facts(cell["status"], f"{where}: status")
    pose = _numbers(cell, _NEEDED[4:], where)
    if ok != (pose is not None):
        expected = f"{'a pose' if ok else 'no pose'} with status {cell['status']}"
        raise ResectError(where, expected, "none" if pose is None else "one")
    upper = _numbers(cell, COLUMNS[15:], where) if "c55" in cell else None
    mode, oracle = cell["mode"], cell.get("oracle", "0")
    if not (mode.isascii() and mode.isdigit() and len(mode) < 7) or oracle not in ("0", "1", ""):
        raise ResectError(where, "a mode number and 0 or 1 for oracle", f"{mode!r} and {oracle!r}")
    return PoseRow(
        cell["photo"],
        cell["status"],
        None if pose is None else pose_from_numbers(pose, where),
        cell["target"],
        int(mode),
        _number(cell.get("log_weight", ""), f"{where}: log_weight", infinite=True),
        cell.get("camera_source", ""),
        oracle == "1",
        _number(cell.get("seconds", ""), f"{where}: seconds"),
        None if upper is None else _symmetric(upper, where),
    )


def _number(text: str, where: str, *, infinite: bool = False) -> float | None:
    if text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        raise ResectError(where, "a number or nothing", repr(text[:40])) from None
    if math.isnan(value) or (math.isinf(value) and not infinite):
        raise ResectError(where, "a finite number", text)
    return value


def _numbers(cell: dict[str, str], names: Sequence[str], where: str) -> list[float] | None:
    """All of these columns, or `None` when all are empty."""
    values = [_number(cell.get(name, ""), f"{where}: {name}") for name in names]
    if all(v is None for v in values):
        return None
    if any(v is None for v in values):
        raise ResectError(where, f"all of {names[0]}…{names[-1]} or none", "some of them")
    return [v for v in values if v is not None]


def pose_from_numbers(numbers: Sequence[float], where: object, tolerance: float = 1e-3) -> SE3:
    """`SE3` from qw qx qy qz tx ty tz; the quaternion must have length one up to its printed digits."""
    values = torch.tensor(numbers, dtype=torch.float64)
    length = float(values[:4].norm())
    if not abs(length - 1) <= tolerance:
        fix = "The columns may be in another order (x y z of the translation before the quaternion?)."
        raise ResectError(f"{where}: quaternion", "length 1", f"{length:.4g}", fix)
    return SE3(so3.from_quaternion(values[:4]), values[4:])


def _symmetric(upper: Sequence[float], where: str) -> Float[Tensor, "6 6"]:
    c = torch.zeros(6, 6, dtype=torch.float64)
    for (i, j), value in zip(_UPPER, upper, strict=True):
        c[i, j] = c[j, i] = value
    deviation = c.diagonal().clamp_min(0).sqrt()
    safe = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    least = float(torch.linalg.eigvalsh(c / (safe[:, None] * safe)).min())
    if least < -1e-6 or bool((c.diagonal() < 0).any()):
        raise ResectError(f"{where}: covariance", "a positive semidefinite matrix", f"an eigenvalue of {least:.3g}")
    return c


def _check_modes(rows: Sequence[PoseRow], where: object) -> None:
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.photo, row.target)
        if row.mode != seen.get(key, 0):
            expected = f"modes 0, 1, … of '{row.photo}' in order, each once"
            raise ResectError(where, expected, f"mode {row.mode} in place of {seen.get(key, 0)}")
        seen[key] = row.mode + 1


def check_name(name: str, where: object) -> None:
    """Refuses photo names that are empty, absolute, leave their folder, or hold control characters."""
    path = PurePosixPath(name.replace("\\", "/"))
    drive = len(name) > 1 and name[1] == ":"
    bad = not name or len(name) > 4096 or path.is_absolute() or drive or ".." in path.parts
    if bad or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise ResectError(f"{where}: photo", "a path inside the data folder", repr(name[:200]))
