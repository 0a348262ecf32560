"""Cambridge Landmarks: `dataset_train.txt` and `dataset_test.txt` beside `seqN/frameNNNNN.png`.

A line is `seq1/frame00001.png X Y Z W P Q R`: camera centre in metres and a quaternion wxyz, cam_from_world; the other
way round where only so the cameras look at a common place, as in lists that others have made. The focal length of each
photo stands in `reconstruction.nvm` (VisualSFM), at the photo's size, about its centre.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from resect.data.gather import Frame, Part, gather
from resect.data.pose_list import text_lines
from resect.data.rigid import is_number, number, numbers, rigid_from_quaternion
from resect.data.scene_csv import SceneRow, read_scene_csv, rotation_direction, rows_of, turned_at
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import PhotoSet, World

FILES: tuple[tuple[str, Part], ...] = (("dataset_train.txt", "train"), ("dataset_test.txt", "test"))
_NVM = "reconstruction.nvm"
_FOCAL, _HEIGHT = 744.0, 480
_MAX_NVM_BYTES = 2 << 30


def fits_cambridge(root: Path) -> bool:
    """Whether a folder is a scene of Cambridge Landmarks."""
    return any((root / name).is_file() for name, _ in FILES)


def read_cambridge(root: Path, poses: Path | None = None) -> PhotoSet:
    """A scene of Cambridge Landmarks, with the split that comes with it.

    Args:
        root: the scene's folder.
        poses: a label list (CSV) to use in place of the folder's own lists.
    """
    if poses is not None:
        rows, notes = read_scene_csv(poses)
        return with_rows(root, rows_of(rows, root.name, poses), notes)
    rows = [row for name, part in FILES for row in _listed(root / name, root.name, part)]
    usual = SE3.stack([row.cam_from_world for row in rows])
    way, note = rotation_direction(usual.center, usual.R, [root.name] * len(rows), "cam_from_world")
    if way == "cam_from_world":
        return with_rows(root, rows)
    found = turned_at(usual.center, usual.R, way)
    rows = [replace(row, cam_from_world=found[i]) for i, row in enumerate(rows)]
    return with_rows(root, rows, [f"{FILES[0][0]}: {note}"])


def with_rows(root: Path, rows: list[SceneRow], said: Sequence[str] = ()) -> PhotoSet:
    """Photos of a folder with the poses of a label list, whose image paths may begin with the folder's name."""
    focals = _focals(root / _NVM)
    frames, assumed = [], 0
    for row in rows:
        name = row.name.removeprefix(f"{root.name}/")
        focal = focals.get(str(PurePosixPath(name).with_suffix("")))
        assumed += focal is None
        frames.append(Frame(name, lambda w, h, focal=focal: _camera(w, h, focal), row.cam_from_world, part=row.part))  # type: ignore[misc]
    notes = list(said)
    notes += [f"The focal length of {assumed} photos is not in {_NVM}; the usual one was taken."] if assumed else []
    return gather(root, "cambridge", frames, world=World(meters_per_unit=1.0), camera_source="cambridge", notes=notes)


def _camera(width: int, height: int, focal: float | None) -> Camera:
    focal = _FOCAL * height / _HEIGHT if focal is None else focal
    return Camera(focal, focal, width / 2, height / 2, width, height)


def _listed(path: Path, scene: str, part: Part) -> list[SceneRow]:
    rows: list[SceneRow] = []
    for where, line in text_lines(path) if path.is_file() else []:
        words = line.split()
        if not rows and words[1:] and not any(map(is_number, words[1:])):
            continue  # the heading
        if len(words) != 8:
            raise ResectError(where, "file X Y Z W P Q R", line[:80])
        values = numbers(where, " ".join(words[1:]), 7)
        pose = rigid_from_quaternion(where, values[3:], values[:3])
        rows.append(SceneRow(scene, words[0], replace(pose, t=-(pose.R @ pose.t)), part))
    if path.is_file() and not rows:
        raise ResectError(path, "at least one photo", "none")
    return rows


def _focals(path: Path) -> dict[str, float]:
    """Photo without suffix → focal length in pixels, from a VisualSFM file; empty where there is none."""
    if not path.is_file():
        return {}
    if path.stat().st_size > _MAX_NVM_BYTES:
        raise ResectError(path, "at most 2 GiB", f"{path.stat().st_size >> 20} MiB")
    found: dict[str, float] = {}
    with path.open(encoding="utf-8", errors="replace") as file:
        left = -1
        for index, line in enumerate(file, start=1):
            words = line.split()
            if left < 0 and len(words) == 1 and words[0].isdecimal():
                left = int(words[0])
            elif left > 0 and words:
                if len(words) < 9:
                    raise ResectError(f"{path}:{index}", "file focal qw qx qy qz cx cy cz …", line[:80])
                name = str(PurePosixPath(words[0]).with_suffix(""))
                found[name] = number(f"{path}:{index}", words[1], positive=True)
                left -= 1
            if left == 0:
                break
    return found
