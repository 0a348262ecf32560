"""TUM RGB-D folders: `rgb.txt`, `depth.txt`, `groundtruth.txt` joined by time; or photos and one pose row for each.

Poses are camera to world with OpenCV axes, `t tx ty tz qx qy qz qw`, metres, z up. Principal points count from the
first pixel's centre. Depth images hold 5000 per metre and lie on the colour pixels.
"""

import re
from pathlib import Path

import torch

from resect.data.camera_file import read_camera
from resect.data.gather import Frame, gather
from resect.data.image import SUFFIXES
from resect.data.pose_list import text_lines
from resect.data.rigid import number
from resect.data.trajectory import read_trajectory, write_trajectory
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.conventions import pixel_offset
from resect.geometry.se3 import SE3
from resect.geometry.trajectory import Trajectory, associate
from resect.types import PhotoSet, World

_MAX_DIFFERENCE_S = 0.02
_COUNTS_PER_METER = 5000.0
_LOOSE = ("truth_cam_poses.txt", "groundtruth.txt")
_LOOSE_FOLDERS = ("raw_imgs", "rgb", "images")
_CALIBRATIONS: dict[str, tuple[float, float, float, float, tuple[float, ...]]] = {
    "1": (517.3, 516.5, 318.6, 255.3, (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    "2": (520.9, 521.0, 325.1, 249.7, (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    "3": (535.4, 539.2, 320.1, 247.6, ()),
    "": (525.0, 525.0, 319.5, 239.5, ()),
}
_CAMERA_NUMBER = re.compile(r"(?:freiburg|fr)([123])(?![0-9])")


def fits_tum(root: Path) -> bool:
    """Whether a folder has a trajectory and photos in one of TUM's two layouts."""
    official = (root / "rgb.txt").is_file() and (root / "groundtruth.txt").is_file()
    return official or _loose(root) is not None


def read_tum(root: Path, poses: Path | None = None) -> PhotoSet:
    """A TUM RGB-D sequence.

    Args:
        root: its folder; `camera.json` in it, else "freiburg1" … "fr3" in its name, else 525, 525, 319.5, 239.5 is the
            calibration.
        poses: another trajectory to use instead of the one in the folder.
    """
    camera, source, notes = _calibration(root)
    if (root / "rgb.txt").is_file():
        trajectory = read_trajectory(poses or root / "groundtruth.txt")
        frames, said = _by_time(root, trajectory, camera)
    else:
        trajectory, frames, said = _by_order(root, poses, camera)
    notes += [*said, *trajectory.notes[1:]]
    world = World(meters_per_unit=1.0, up=torch.tensor([0.0, 0.0, 1.0]))
    return gather(root, "tum", frames, world=world, camera_source=source, notes=notes)


def write_tum(photos: PhotoSet, path: Path) -> None:
    """Writes the poses as a TUM trajectory, one row a photo, with the photo's number as time stamp."""
    poses = photos.truth.cam_from_world.double().inverse()
    numbered = Trajectory(torch.arange(len(photos), dtype=torch.float64), poses)
    names = [f"{i} {name}" for i, name in enumerate(photos.names)]
    write_trajectory(numbered, path, comments=names, overwrite=True)


def _calibration(root: Path) -> tuple[Camera, str, list[str]]:
    """The camera, where it is from, and what to say."""
    if (root / "camera.json").is_file():
        return read_camera(root / "camera.json"), "camera.json", []
    which = _CAMERA_NUMBER.search(root.resolve().name)
    notes = [] if which else ["No freiburg1, 2 or 3 in the folder's name: the default TUM calibration is used."]
    return _camera(which.group(1) if which else ""), "tum calibration", notes


def _camera(which: str) -> Camera:
    fx, fy, cx, cy, distortion = _CALIBRATIONS[which]
    offset = pixel_offset("tum")
    return Camera(fx, fy, cx + offset, cy + offset, 640, 480, "opencv" if distortion else "pinhole", distortion)


def _stamped_files(path: Path) -> tuple[torch.Tensor, list[str]]:
    """Time stamps and file names of rgb.txt or depth.txt, by time."""
    rows = []
    for where, line in text_lines(path):
        words = line.split()
        if len(words) != 2:
            raise ResectError(where, "TIME FILE", line[:80])
        rows.append((number(where, words[0]), words[1]))
    rows.sort()
    return torch.tensor([t for t, _ in rows], dtype=torch.float64), [name for _, name in rows]


def _by_time(root: Path, trajectory: Trajectory, camera: Camera) -> tuple[list[Frame], list[str]]:
    seconds, names = _stamped_files(root / "rgb.txt")
    pairs = _pairs(seconds, trajectory.seconds)
    if not pairs:
        fix = "Do the time stamps use the same clock?"
        raise ResectError(root, f"photos within {_MAX_DIFFERENCE_S} s of a pose", f"none of {len(names)}", fix)
    depth: dict[int, str] = {}
    if (root / "depth.txt").is_file():
        depth_seconds, depth_names = _stamped_files(root / "depth.txt")
        depth = {i: depth_names[k] for i, k in _pairs(seconds, depth_seconds)}
    cam_from_world = trajectory.world_from_cam.inverse()
    frames = [_frame(root, names[i], camera, cam_from_world[k], depth.get(i)) for i, k in pairs]
    lost = len(names) - len(pairs)
    note = f"{lost} of {len(names)} photos have no pose within {_MAX_DIFFERENCE_S} s and were left out."
    return frames, [note] if lost else []


def _pairs(seconds: torch.Tensor, others: torch.Tensor) -> list[tuple[int, int]]:
    i, j = associate(seconds, others, _MAX_DIFFERENCE_S)
    return list(zip(i.tolist(), j.tolist(), strict=True))


def _by_order(root: Path, poses: Path | None, camera: Camera) -> tuple[Trajectory, list[Frame], list[str]]:
    found = _loose(root)
    if found is None:
        raise ResectError(root, f"a trajectory ({', '.join(_LOOSE)}) and photos", "none")
    path, folder = found
    trajectory = read_trajectory(poses or path)
    names = _images(root / folder)
    if len(names) != len(trajectory.stamps):
        fix = "Without rgb.txt photos and poses are joined by order, so none may be missing."
        raise ResectError(path, f"{len(names)} rows, one for each photo", str(len(trajectory.stamps)), fix)
    cam_from_world = trajectory.world_from_cam.inverse()
    frames = [_frame(root, f"{folder}/{name}", camera, cam_from_world[i], None) for i, name in enumerate(names)]
    return trajectory, frames, [f"Rows of {path.name} are joined with the photos in {folder} by order."]


def _frame(root: Path, name: str, camera: Camera, cam_from_world: SE3, depth: str | None) -> Frame:
    depth = depth if depth is not None and (root / depth).is_file() else None
    return Frame(name, lambda w, h: camera, cam_from_world, depth=depth, units_per_count=1 / _COUNTS_PER_METER)


def _loose(root: Path) -> tuple[Path, str] | None:
    trajectory = next((root / n for n in _LOOSE if (root / n).is_file()), None)
    folder = next((f for f in _LOOSE_FOLDERS if (root / f).is_dir()), None)
    return None if trajectory is None or folder is None else (trajectory, folder)


def _images(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
