"""Poses in other people's files: published lists, trajectories, folders. The kind is found out and said.

- "list": `file qw qx qy qz tx ty tz` and up to three more numbers (hloc, ACE, pseudo ground truth); camera from world
- "tum": `time tx ty tz qx qy qz qw`; world from camera
- "kitti": twelve numbers, the rows of a 3×4 matrix; world from camera
- "matrices": a folder of `*.pose.txt`, each a 4×4 matrix; world from camera
"""

import math
from pathlib import Path

import torch
from torch import Tensor

from resect.data.pose_list import read_pose_list
from resect.data.rigid import is_number
from resect.errors import ResectError
from resect.evaluation.pose_file import (
    PoseList,
    PoseRow,
    Unit,
    check_name,
)
from resect.geometry import so3
from resect.geometry.conventions import wxyz_from_xyzw
from resect.geometry.se3 import SE3

_MAX_LINES = 2_000_000
_MAX_FOLDER = 200_000


def parse_list(text: str, path: Path, unit: Unit) -> PoseList:
    """Reads a text file whose lines are poses; every error names the line."""
    lines = [
        (number, line.replace(",", " ").split())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines or len(lines) > _MAX_LINES:
        raise ResectError(path, f"between 1 and {_MAX_LINES} lines of poses", str(len(lines)))
    first, width = lines[0][0], len(lines[0][1])
    for number, cells in lines:
        if len(cells) != width:
            expected = f"{width} columns as in line {first}"
            raise ResectError(f"{path}: line {number}", expected, f"{len(cells)} columns")
    named = not is_number(lines[0][1][0])
    if named and 8 <= width <= 11:
        return _named(lines, path, unit)
    if not named and width == 12:
        return _kitti(lines, path, unit)
    if not named and width == 8:
        return _timed(lines, path, unit)
    expected = "'file qw qx qy qz tx ty tz', 'time tx ty tz qx qy qz qw' or twelve numbers"
    got = f"{width} columns: {' '.join(lines[0][1])[:120]}"
    raise ResectError(f"{path}: line {first}", expected, got, "Write a Pose file ('resect score --help' shows it).")


def _numbers(lines: list[tuple[int, list[str]]], start: int, stop: int, path: Path) -> Tensor:
    rows = []
    for number, cells in lines:
        try:
            row = [float(c) for c in cells[start:stop]]
        except ValueError as error:
            raise ResectError(f"{path}: line {number}", "numbers", str(error)) from None
        if not all(math.isfinite(x) for x in row):
            fix = "Leave out the line of a photo that has no answer; it then counts as failed."
            raise ResectError(f"{path}: line {number}", "finite numbers", " ".join(cells[start:stop])[:120], fix)
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def _rotations(quaternion: Tensor, lines: list[tuple[int, list[str]]], path: Path) -> Tensor:
    length = quaternion.norm(dim=-1)
    bad = ((length - 1).abs() > 1e-2).nonzero()
    if len(bad):
        k = int(bad[0])
        fix = "The columns may be in another order, or the file may not hold quaternions."
        raise ResectError(f"{path}: line {lines[k][0]}: quaternion", "length 1", f"{float(length[k]):.4g}", fix)
    return so3.from_quaternion(quaternion)


def _named(lines: list[tuple[int, list[str]]], path: Path, unit: Unit) -> PoseList:
    listed = read_pose_list(path)
    for (number, _), entry in zip(lines, listed, strict=True):
        check_name(entry.name, f"{path}: line {number}")
    note = f"{len(listed)} lines 'file qw qx qy qz tx ty tz', camera from world"
    poses = SE3.stack([entry.cam_from_world for entry in listed])
    return _list([entry.name for entry in listed], poses, path, "list", unit, note)


def _timed(lines: list[tuple[int, list[str]]], path: Path, unit: Unit) -> PoseList:
    values = _numbers(lines, 1, 8, path)
    last, first = ((values[:, s].norm(dim=-1) - 1).abs().median() for s in (slice(3, 7), slice(0, 4)))
    names = [cells[0] for _, cells in lines]
    if first < 1e-2 < last:
        poses = SE3(_rotations(values[:, :4], lines, path), values[:, 4:])
        return _list(
            names, poses, path, "list", unit, f"{len(lines)} lines 'name qw qx qy qz tx ty tz', camera from world"
        )
    rotation = _rotations(wxyz_from_xyzw(values[:, 3:]), lines, path)
    note = f"{len(lines)} lines 'time tx ty tz qx qy qz qw' (TUM order), world from camera"
    return _list(names, SE3(rotation, values[:, :3]).inverse(), path, "tum", unit, note)


def _kitti(lines: list[tuple[int, list[str]]], path: Path, unit: Unit) -> PoseList:
    matrix = _numbers(lines, 0, 12, path).unflatten(-1, (3, 4))
    wheres = [f"{path}: line {number}" for number, _ in lines]
    rotation = _proper(matrix[:, :, :3], wheres)
    poses = SE3(rotation, matrix[:, :, 3]).inverse()
    names = [f"{i:06d}" for i in range(len(lines))]
    note = f"{len(lines)} lines of 3×4 matrices, world from camera, no names"
    off = float((rotation - matrix[:, :, :3]).abs().max())
    if off > 1e-4:
        note += f"; they differ from rotations by up to {off:.1g}, and the nearest rotations were taken"
    return _list(names, poses, path, "kitti", unit, note)


def _proper(matrix: Tensor, wheres: list[str]) -> Tensor:
    """Rotations; those printed or regressed with an error below 1 % are made exact."""
    eye = torch.eye(3, dtype=matrix.dtype)
    off = (matrix.mT @ matrix - eye).abs().amax((-2, -1))
    bad = ((off > 1e-2) | (torch.linalg.det(matrix) < 0)).nonzero()
    if len(bad):
        k = int(bad[0])
        got = f"RᵀR off by {float(off[k]):.3g}, determinant {float(torch.linalg.det(matrix[k])):.3g}"
        raise ResectError(wheres[k], "a rotation matrix", got)
    return so3.nearest_rotation(matrix)


def read_folder(folder: Path, unit: Unit) -> PoseList:
    """Reads a folder of 4×4 matrices, one file a photo."""
    files = sorted(folder.glob("*.pose.txt"))
    if not files:
        raise ResectError(folder, "a Pose file, or a folder of *.pose.txt", "a folder without them")
    if len(files) > _MAX_FOLDER:
        raise ResectError(folder, f"at most {_MAX_FOLDER} poses", str(len(files)))
    matrices = torch.stack([_matrix_file(f) for f in files])
    poses = SE3(_proper(matrices[:, :3, :3], [str(f) for f in files]), matrices[:, :3, 3]).inverse()
    names = [f.name.removesuffix(".pose.txt") for f in files]
    return _list(names, poses, folder, "matrices", unit, f"{len(files)} files *.pose.txt, world from camera")


def _matrix_file(file: Path) -> Tensor:
    if file.stat().st_size > 4096:
        raise ResectError(file, "sixteen numbers", f"{file.stat().st_size} bytes")
    cells = file.read_text(errors="replace").split()
    if len(cells) != 16:
        raise ResectError(file, "sixteen numbers", str(len(cells)))
    matrix = _numbers([(1, cells)], 0, 16, file).reshape(4, 4)
    if not torch.allclose(matrix[3], torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=matrix.dtype), atol=1e-6):
        raise ResectError(file, "a last row 0 0 0 1", str(matrix[3].tolist()))
    return matrix


def _list(names: list[str], poses: SE3, path: Path, kind: str, unit: Unit, note: str) -> PoseList:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ResectError(path, "each photo once", f"'{name}' twice")
        seen.add(name)
    rows = tuple(PoseRow(name, "OK", poses[i]) for i, name in enumerate(names))
    return PoseList(rows, unit, kind, (f"{path.name}: {note}",))
