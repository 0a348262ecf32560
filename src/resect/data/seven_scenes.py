"""7-Scenes folders: `frame-XXXXXX.color.png`, `.depth.png`, `.pose.txt`, in one sequence or in `seq-XX` folders.

The pose files are the depth camera's KinectFusion track, used for the colour camera by habit (f = 525, centre of the
image in pixel centres). A pose list (`file qw qx qy qz tx ty tz f`, cam_from_world, made with COLMAP) is of the colour
camera itself and much better. Depth is the depth camera's and is moved to the colour camera's pixels.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.gather import Frame, Part, gather
from resect.data.pose_list import ListedPose, quaternion_order_note, read_pose_list, text_lines
from resect.data.rigid import numbers, rigid_from_matrix
from resect.data.scene_csv import is_scene_csv, read_scene_csv, rows_of
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.conventions import pixel_offset
from resect.geometry.se3 import SE3
from resect.types import PhotoSet, World

_FRAME = re.compile(r"frame-(\d+)\.color\.(png|jpg|jpeg)$")
_SEQUENCE = re.compile(r"seq(?:uence)?[-_]?0*(\d+)")
_FOCAL, _WIDTH, _HEIGHT = 525.0, 640, 480
_DEPTH_FOCAL = 585.0
_BASELINE_M = 0.025


def find_frames(root: Path) -> list[Path]:
    """Colour images of a sequence folder, or of the `seq-XX` folders of a scene."""
    folders = [root, *sorted(p for p in root.glob("seq-*") if p.is_dir())]
    return sorted(p for folder in folders for p in folder.iterdir() if _FRAME.search(p.name))


def read_seven_scenes(root: Path, poses: Path | None = None) -> PhotoSet:
    """A 7-Scenes scene or sequence.

    Args:
        root: the scene's or the sequence's folder.
        poses: pose list or label list (CSV) to use instead of the pose files; photos that it does not list are left
            out.
    """
    files = find_frames(root)
    if not files:
        raise ResectError(root, "frame-XXXXXX.color.png or .jpg", "none")
    if poses is not None and is_scene_csv(poses):
        labels, said = read_scene_csv(poses)
        listed = [ListedPose(r.name, r.cam_from_world, None, r.part) for r in rows_of(labels, root.name, poses)]
        return with_poses(root, listed, poses, said)
    if poses is not None:
        return with_poses(root, read_pose_list(poses), poses)
    without = [file for file in files if not _pose_file(file).is_file()]
    if without:
        got = f"{len(files) - len(without)}; without one: {', '.join(p.name for p in without[:5])}"
        fix = "Add them, or give a list of those that are known: --poses LIST."
        raise ResectError(root, f"a pose file for each of its {len(files)} photos, frame-XXXXXX.pose.txt", got, fix)
    parts = _parts(root)
    offset = pixel_offset("7scenes")
    camera = Camera(_FOCAL, _FOCAL, _WIDTH / 2 + offset, _HEIGHT / 2 + offset, _WIDTH, _HEIGHT)
    frames = []
    for file in files:
        pose_file = _pose_file(file)
        rows = [numbers(where, line, 4) for where, line in text_lines(pose_file)]
        frames.append(_frame(root, file, parts, camera, rigid_from_matrix(pose_file, rows).inverse()))
    note = "Poses are the depth camera's track; a list made by structure from motion (--poses) is more exact."
    return _gathered(root, frames, "7scenes", [note, *_absent(files, parts)])


def _pose_file(image: Path) -> Path:
    return image.with_name(image.name.split(".")[0] + ".pose.txt")


def register_depth(depth: Float[Tensor, "h w"], camera: Camera) -> Float[Tensor, "h w"]:
    """Depth of the Kinect's depth camera (f = 585) moved to the pixels of its colour camera, nearest surface first.

    The colour camera is taken to sit 2.5 cm beside it, unturned. Against points triangulated from training photos of
    one scene 77 % of the depths are then within 3 %, 44 % when depth is read as if it were the colour camera's; a
    published calibration of another Kinect gives 74 %.
    """
    h, w = depth.shape
    offset = pixel_offset("7scenes")
    scale = w / _WIDTH
    from_depth = Camera(
        _DEPTH_FOCAL * scale, _DEPTH_FOCAL * scale, w / 2 + offset * scale, h / 2 + offset * scale, w, h
    )
    ray = from_depth.rays(from_depth.pixels())
    points = ray / ray[:, 2:] * depth.reshape(-1, 1)
    points[:, 0] -= _BASELINE_M
    pixels, seen = camera.project(points)
    seen = seen & (depth.reshape(-1) > 0)
    column, row = pixels[seen].long().unbind(-1)
    nearest = torch.full((camera.height * camera.width,), torch.inf)
    nearest = nearest.scatter_reduce(0, row * camera.width + column, points[seen, 2], "amin")
    return torch.where(nearest.isinf(), torch.zeros_like(nearest), nearest).view(camera.height, camera.width)


def with_poses(root: Path, listed: list[ListedPose], poses: Path, said: Sequence[str] = ()) -> PhotoSet:
    """Photos of a folder with the poses of a list.

    Args:
        root: the scene's or the sequence's folder.
        listed: the list.
        poses: the file it was read from.
        said: notes on it.
    """
    files, parts = find_frames(root), _parts(root)
    sequence = _sequence_of(root, listed, poses)
    by_key = {_key(entry.name, sequence): entry for entry in listed}
    offset = pixel_offset("7scenes-colmap")
    frames, unlisted = [], 0
    for file in files:
        entry = by_key.get(_key(file.relative_to(root).as_posix(), sequence))
        if entry is None:
            unlisted += 1
            continue
        focal = entry.focal or _FOCAL
        camera = Camera(focal, focal, _WIDTH / 2 + offset, _HEIGHT / 2 + offset, _WIDTH, _HEIGHT)
        frame = _frame(root, file, parts, camera, entry.cam_from_world)
        frames.append(replace(frame, part=entry.part or frame.part))
    if not frames:
        raise ResectError(poses, f"poses of the photos in {root}", f"{len(listed)} others, e.g. {listed[0].name}")
    notes = [f"Poses are from {poses.name}.", *said]
    notes += [f"{unlisted} of {len(files)} photos are not in it and were left out ({root})."] if unlisted else []
    notes += _absent(files, parts)
    lost = len(listed) - len(frames)
    notes += [f"{lost} of its {len(listed)} poses are of photos that are not in {root}."] if lost else []
    notes += quaternion_order_note(SE3.stack([f.cam_from_world for f in frames]), "wxyz", inverse=False)
    return _gathered(root, frames, poses.name, notes)


def _gathered(root: Path, frames: list[Frame], source: str, notes: list[str]) -> PhotoSet:
    return gather(root, "7scenes", frames, world=World(meters_per_unit=1.0), camera_source=source, notes=notes)


def _frame(root: Path, file: Path, parts: dict[int, Part], camera: Camera, cam_from_world: SE3) -> Frame:
    name = file.relative_to(root).as_posix()
    depth = file.with_name(file.name.split(".")[0] + ".depth.png")
    return Frame(
        name=name,
        camera=lambda w, h: camera,
        cam_from_world=cam_from_world,
        depth=depth.relative_to(root).as_posix() if depth.is_file() else None,
        register=register_depth,
        part=parts.get(_number(_SEQUENCE, name) or 0),
    )


def _parts(root: Path) -> dict[int, Part]:
    """Which sequences are for training and which for testing, where the scene says so."""
    parts: dict[int, Part] = {}
    files: tuple[tuple[str, Part], ...] = (("TrainSplit.txt", "train"), ("TestSplit.txt", "test"))
    for file, part in files:
        path = root / file
        for where, line in text_lines(path) if path.is_file() else []:
            sequence = _number(_SEQUENCE, line)
            if sequence is None:
                raise ResectError(where, "sequenceN", line[:40])
            parts[sequence] = part
    return parts


def _absent(files: Sequence[Path], parts: dict[int, Part]) -> list[str]:
    """What is to be said of sequences that the split names and nobody has."""
    here = {_number(_SEQUENCE, path.parent.name) for path in files}
    lost = sorted(set(parts) - here)
    return [f"TrainSplit.txt or TestSplit.txt name sequences that are not here: {lost}."[:200]] if lost else []


def _sequence_of(root: Path, listed: list[ListedPose], path: Path) -> int | None:
    """The sequence of photos that lie in the folder itself: by the folder's name, or the only one in the list."""
    own = _number(_SEQUENCE, root.name)
    sequences = {_number(_SEQUENCE, entry.name) for entry in listed}
    if own is None and len(sequences) > 1 and not any(root.glob("seq-*")):
        fix = "Name the folder after its sequence (seq-01), or cut the list to it."
        raise ResectError(path, "poses of one sequence", f"{len(sequences)} sequences", fix)
    return own if own is not None else next(iter(sequences))


def _key(name: str, sequence: int | None) -> tuple[int | None, int]:
    """(sequence, frame) of a photo; `sequence` stands in where the name gives none."""
    frame = _number(_FRAME, name)
    if frame is None:
        raise ResectError(name, "a name like seq-01/frame-000000.color.png", "another")
    own = _number(_SEQUENCE, name)
    return (sequence if own is None else own), frame


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return int(found.group(1)) if found else None
