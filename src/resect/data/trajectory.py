"""Trajectory files: TUM, KITTI and EuRoC, in and out. The format is found by what a line looks like, and said.

- "tum": `time tx ty tz qx qy qz qw`, seconds, world from camera
- "kitti": twelve numbers a line, the rows of a 3×4 matrix, world from camera (the first camera is the world); the time
  stamps are in a file of their own, or there are none
- "euroc": `nanoseconds,px,py,pz,qw,qx,qy,qz,…` with commas, world from *body* (the inertial sensor, not the camera)
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import write_atomic
from resect.data.pose_list import quaternion_order_note, text_lines
from resect.data.rigid import checked_rotation, number, numbers
from resect.errors import ResectError, unknown_name
from resect.geometry import so3
from resect.geometry.conventions import wxyz_from_xyzw, xyzw_from_wxyz
from resect.geometry.se3 import SE3
from resect.geometry.trajectory import Trajectory

TrajectoryFormat = Literal["tum", "kitti", "euroc"]
QuaternionOrder = Literal["wxyz", "xyzw"]
_COLUMNS = {"tum": "t tx ty tz qx qy qz qw", "euroc": "ns px py pz qw qx qy qz"}
_EUROC_HEAD = "#timestamp [ns],p_RS_R_x [m],p_RS_R_y [m],p_RS_R_z [m],q_RS_w [],q_RS_x [],q_RS_y [],q_RS_z []"
_HEAD_BYTES = 1 << 16
_UNIT_WITHIN = 1e-2
_Line = tuple[str, str]


def trajectory_format(path: Path) -> TrajectoryFormat | None:
    """The format of a file, by its first line that is no comment; `None` if it is no trajectory."""
    if not path.is_file():
        return None
    comments, first = _head(path)
    return None if any(c.startswith("# resect-poses") for c in comments) else _format_of(first, comments)


def read_trajectory(
    path: Path,
    format_name: TrajectoryFormat | None = None,
    *,
    times: Path | None = None,
    order: QuaternionOrder | None = None,
) -> Trajectory:
    """Poses with increasing time stamps.

    Args:
        path: the file.
        format_name: what it is; by default that is found out, and said in the notes.
        times: for KITTI: a file with a time stamp a line, in seconds.
        order: of the quaternions, if it is not the format's own.

    Raises:
        ResectError: not readable, naming the line: another number of columns, NaN, quaternions that have no unit
            length or whose header names another order, time stamps that repeat or go back.
    """
    lines = text_lines(path)
    if not lines:
        raise ResectError(
            path, "at least one pose", "none", "Is it the right file? Lines that start with # are skipped."
        )
    if format_name is not None and format_name not in get_args(TrajectoryFormat):
        raise unknown_name("trajectory format", format_name, get_args(TrajectoryFormat))
    found = format_name or _format_of(lines[0][1], _head(path)[0])
    if found is None:
        raise ResectError(lines[0][0], f"{_COLUMNS['tum']}, 8 numbers; 12 of KITTI; or EuRoC's csv", lines[0][1][:80])
    if found == "kitti":
        return _read_kitti(path, lines, times)
    if times is not None:
        raise ResectError(
            times, "no times file", f"one with a trajectory that has time stamps ({found})", "Leave it out."
        )
    _check_header(path, order or _own_order(found))
    return _read_timed(path, lines, found, order or _own_order(found))


def write_trajectory(
    trajectory: Trajectory,
    path: Path,
    format_name: TrajectoryFormat = "tum",
    *,
    comments: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Writes poses, after comments; KITTI's format has no place for either comments or time stamps."""
    if path.exists() and not overwrite:
        raise ResectError(path, "a new file", "one that exists", "Choose another name, or --overwrite.")
    poses = trajectory.world_from_cam.double()
    wxyz, centers = so3.to_quaternion(poses.R), poses.t.tolist()
    if format_name == "kitti":
        lines = [_words(row) for row in poses.matrix()[:, :3].flatten(1).tolist()]
    elif format_name == "tum":
        stamps = _stamps(trajectory, nanoseconds=False)
        columns = zip(stamps, centers, xyzw_from_wxyz(wxyz).tolist(), strict=True)
        lines = [*(f"# {text}" for text in (_COLUMNS["tum"], *comments))]
        lines += [f"{s} {_words([*t, *q])}" for s, t, q in columns]
    elif format_name == "euroc":
        stamps = _stamps(trajectory, nanoseconds=True)
        columns = zip(stamps, centers, wxyz.tolist(), strict=True)
        lines = [_EUROC_HEAD, *(f"# {text}" for text in comments)]
        lines += [f"{s},{_words([*t, *q], ',')}" for s, t, q in columns]
    else:
        raise unknown_name("trajectory format", format_name, get_args(TrajectoryFormat))
    write_atomic(path, ("\n".join(lines) + "\n").encode())


def _head(path: Path) -> tuple[list[str], str]:
    """The comments above the first line, and that line."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).decode("utf-8", "replace")
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    count = next((k for k, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:count], lines[count] if count < len(lines) else ""


def _format_of(line: str, comments: Sequence[str]) -> TrajectoryFormat | None:
    words = line.replace(",", " ").split()
    try:
        values = [float(w) for w in words]
    except ValueError:
        return None
    if len(values) == 12 and "," not in line:
        return "kitti"
    # Nanoseconds since 1970 have 19 digits.
    nanoseconds = len(values) > 8 or (len(values) == 8 and (values[0] > 1e14 or any("[ns]" in c for c in comments)))
    if "," in line and nanoseconds:
        return "euroc"
    return "tum" if len(values) == 8 else None


def _own_order(format_name: str) -> QuaternionOrder:
    return "wxyz" if format_name == "euroc" else "xyzw"


def _check_header(path: Path, order: QuaternionOrder) -> None:
    """An error where the comment above the numbers names the quaternion's columns in another order."""
    for line in _head(path)[0]:
        names = [
            w.split("_")[-1].removeprefix("q") for w in line.lstrip("# ").replace(",", " ").lower().split() if "q" in w
        ]
        said = "".join(n for n in names if n in ("w", "x", "y", "z"))
        if said in get_args(QuaternionOrder) and said != order:
            fix = f"Reorder the columns, or say that they are {said}."
            raise ResectError(path, f"quaternions in the order {order}", f"a header that says {said}", fix)


def _read_timed(path: Path, lines: Sequence[_Line], format_name: str, order: QuaternionOrder) -> Trajectory:
    values = torch.tensor([_row(where, line, format_name) for where, line in lines], dtype=torch.float64)
    stamps = tuple(line.replace(",", " ").split()[0] for _, line in lines)
    _check_times(lines, values[:, 0], stamps)
    quaternion = values[:, 4:8] if order == "wxyz" else wxyz_from_xyzw(values[:, 4:8])
    poses = SE3(_rotations(lines, quaternion), values[:, 1:4])
    notes = [f"{path.name}: {len(lines)} poses in the format {format_name}, quaternions {order}."]
    if format_name == "euroc":
        notes.append(f"{path.name}: EuRoC's poses are of the body, not of a camera.")
    notes += quaternion_order_note(poses, order, inverse=True)
    seconds = values[:, 0] * (1e-9 if format_name == "euroc" else 1.0)
    return Trajectory(seconds, poses, stamps, format_name, tuple(notes))


def _row(where: str, line: str, format_name: str) -> list[float]:
    if format_name == "tum":
        return numbers(where, line, 8)
    values = numbers(where, line)
    if len(values) < 8 or not line.split(",")[0].strip().isdigit():
        raise ResectError(where, f"{_COLUMNS['euroc']}, 8 numbers or more", line[:80], "Is the line cut off?")
    return values[:8]


def _check_times(lines: Sequence[_Line], time: Float[Tensor, "n"], stamps: Sequence[str]) -> None:
    late = (time.diff() <= 0).nonzero().flatten().tolist()
    if not late:
        return
    k = late[0]
    got = f"{stamps[k + 1]} twice" if time[k] == time[k + 1] else f"{stamps[k + 1]} after {stamps[k]}"
    fix = "Keep one row a time stamp, in order: 'sort -g -u -k1,1 FILE' does it where columns stand between blanks."
    raise ResectError(lines[k + 1][0], "increasing time stamps", got, fix)


def _rotations(lines: Sequence[_Line], wxyz: Float[Tensor, "n 4"]) -> Float[Tensor, "n 3 3"]:
    length = wxyz.norm(dim=-1)
    bad = ((length - 1).abs() > _UNIT_WITHIN).nonzero().flatten().tolist()
    if bad:
        fix = "Check the order of the columns; normalise the quaternions if they were rounded."
        raise ResectError(lines[bad[0]][0], "a unit quaternion", f"length {float(length[bad[0]]):.4g}", fix)
    return so3.from_quaternion(wxyz)


def _read_kitti(path: Path, lines: Sequence[_Line], times: Path | None) -> Trajectory:
    rows = torch.tensor([numbers(where, line, 12) for where, line in lines], dtype=torch.float64).unflatten(-1, (3, 4))
    rotations = torch.stack([checked_rotation(where, r) for (where, _), r in zip(lines, rows[:, :, :3], strict=True)])
    poses = SE3(rotations, rows[:, :, 3])
    note = f"{path.name}: {len(lines)} poses in the format kitti"
    if times is None:
        numbered = torch.arange(len(lines), dtype=torch.float64)
        return Trajectory(numbered, poses, (), "kitti", (f"{note}, without time stamps: rows are numbered.",))
    stamped = text_lines(times)
    if len(stamped) != len(lines):
        fix = "Give the times file of the same sequence."
        raise ResectError(times, f"{len(lines)} time stamps, one a pose", str(len(stamped)), fix)
    seconds = torch.tensor([number(where, line) for where, line in stamped], dtype=torch.float64)
    stamps = tuple(line for _, line in stamped)
    _check_times(stamped, seconds, stamps)
    return Trajectory(seconds, poses, stamps, "kitti", (f"{note}, time stamps of {times.name}.",))


def _words(values: Sequence[float], separator: str = " ") -> str:
    return separator.join(repr(float(x)) for x in values)


def _stamps(trajectory: Trajectory, *, nanoseconds: bool) -> list[str]:
    """Time stamps as text: as they were read where the unit is the same, so that no digit is lost."""
    if trajectory.timed and (trajectory.format == "euroc") == nanoseconds:
        return list(trajectory.stamps)
    if trajectory.timed:
        factor = Decimal(10) ** (9 if nanoseconds else -9)
        exact = [Decimal(s) * factor for s in trajectory.stamps]
    else:
        exact = [Decimal(repr(s)) * (10**9 if nanoseconds else 1) for s in trajectory.seconds.tolist()]
    return [str(int(s.to_integral_value())) if nanoseconds else f"{s.normalize():f}" for s in exact]
