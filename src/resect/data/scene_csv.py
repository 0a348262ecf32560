"""Label lists of scenes: CSV with the columns scene, split, seq, img_path, t1…t3 (camera centre), q1…q4 (wxyz).

Published lists of this form do not say which way their rotations go: those of 7-Scenes are world_from_cam, those of
Cambridge Landmarks cam_from_world. Cameras of a scene tend to look at a common place, and the wrong way they do not;
all rows of a list are judged together.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from resect.artifact import write_atomic
from resect.data.gather import MAX_FRAMES, Part
from resect.data.rigid import number, rigid_from_quaternion
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.look_at import nearest_point_to_axes
from resect.geometry.se3 import SE3
from resect.types import PhotoSet, Split

COLUMNS = ("scene", "split", "seq", "img_path", "t1", "t2", "t3", "q1", "q2", "q3", "q4")
_MAX_BYTES = 1 << 30
_PARTS: dict[str, Part] = {"train": "train", "val": "val", "test": "test"}
_CLEAR = 0.25
Direction = Literal["cam_from_world", "world_from_cam"]


@dataclass(frozen=True, eq=False)
class SceneRow:
    """One line of a label list.

    Attributes:
        scene: name of the place.
        name: path of the image as the list writes it.
        cam_from_world: float64.
        part: which half it belongs to, if the list says so.
    """

    scene: str
    name: str
    cam_from_world: SE3
    part: Part | None


def is_scene_csv(path: Path) -> bool:
    """Whether a file begins with the header of a label list."""
    if not path.is_file() or path.suffix.lower() != ".csv":
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return {"scene", "img_path", "t1", "q4"} <= {word.strip() for word in file.readline(4096).split(",")}


def read_scene_csv(path: Path, direction: Direction | None = None) -> tuple[list[SceneRow], list[str]]:
    """All rows, and what is to be said about them.

    Args:
        path: the list.
        direction: which way its rotations go; `None` finds it out.

    Raises:
        ResectError: a column is missing or its cells are not numbers, a quaternion is not of unit length, a photo
            is listed twice.
    """
    places, cells = _cells(path)
    centers, rotations = [], []
    for where, row in zip(places, cells, strict=True):
        values = [number(f"{where}: {key}", row[key]) for key in COLUMNS[4:]]
        pose = rigid_from_quaternion(where, values[3:], values[:3])
        centers.append(pose.t)
        rotations.append(pose.R)
    center, rotation = torch.stack(centers), torch.stack(rotations)
    scenes = [row["scene"].strip() for row in cells]
    found, note = (direction, "") if direction else rotation_direction(center, rotation, scenes)
    poses = turned_at(center, rotation, found)
    rows = [
        SceneRow(scene, row["img_path"].strip(), poses[i], _PARTS.get(row.get("split", "").strip().lower()))
        for i, (scene, row) in enumerate(zip(scenes, cells, strict=True))
    ]
    return rows, [f"{path.name}: {note}"] if note else []


def rows_of(rows: list[SceneRow], scene: str, path: Path) -> list[SceneRow]:
    """The rows of one scene: those of its name, or all where the list knows one scene only."""
    known = sorted({row.scene for row in rows})
    if scene not in known and len(known) > 1:
        fix = "Name the folder as the list does, or give the list itself to a method that takes several places."
        raise ResectError(path, f"one scene, or one of the name '{scene}'", ", ".join(known[:8]), fix)
    return [row for row in rows if row.scene == scene or len(known) == 1]


def write_scene_csv(
    scenes: Mapping[str, tuple[PhotoSet, Split]], path: Path, fraction: float = 1.0, seed: int = 0
) -> int:
    """Writes a label list of one or several places, rotations world_from_cam, and returns how many rows it has.

    Args:
        scenes: name → all photos of a place, and which are held out.
        path: the file.
        fraction: part of each place's training photos to list, drawn without replacement; held-out ones are all listed.
        seed: of the draw.
    """
    g = torch.Generator().manual_seed(seed)
    lines = [",".join(COLUMNS)]
    for scene, (photos, split) in scenes.items():
        count = max(1, round(fraction * len(split.train)))
        drawn = torch.randperm(len(split.train), generator=g)[:count].sort().values.tolist()
        rows = [(split.train[k], "train") for k in drawn] + [(i, "test") for i in split.test]
        poses = photos.truth.cam_from_world.double()
        quaternions, centers = so3.to_quaternion(poses.R.mT).tolist(), poses.center.tolist()
        for i, part in sorted(rows):
            name = photos.names[i]
            folder = name.rpartition("/")[0].rpartition("/")[2]
            if any(c in f"{scene}{name}" for c in ',"\n'):
                raise ResectError(name, "names without commas, quotes and line ends", repr(f"{scene}/{name}"))
            cells = [scene, part, folder, f"{scene}/{name}", *map(repr, centers[i] + quaternions[i])]
            lines.append(",".join(cells))
    write_atomic(path, ("\n".join(lines) + "\n").encode())
    return len(lines) - 1


def rotation_direction(
    center: Tensor, rotation: Tensor, scenes: Sequence[str], otherwise: Direction = "world_from_cam"
) -> tuple[Direction, str]:
    """Which way rotations go, by where the cameras of each scene look, and how that was decided.

    Args:
        center: (n, 3) camera centres.
        rotation: (n, 3, 3).
        scenes: of each row.
        otherwise: what is taken where it cannot be told.
    """
    evidence, weight = 0.0, 0
    for scene in sorted(set(scenes)):
        i = torch.tensor([s == scene for s in scenes])
        if int(i.sum()) >= 3:
            ways = [_together(center[i], r) for r in (rotation[i], rotation[i].mT)]
            evidence += int(i.sum()) * (ways[0] - ways[1])
            weight += int(i.sum())
    evidence /= max(1, weight)
    if abs(evidence) > _CLEAR:
        way: Direction = "cam_from_world" if evidence > 0 else "world_from_cam"
        return way, f"Its quaternions are {way}: so the cameras look at a common place."
    said = f"Whether its quaternions are cam_from_world or world_from_cam cannot be told; {otherwise} was taken."
    return otherwise, f"{said} 'resect data check' compares poses with photos."


def turned_at(center: Tensor, rotation: Tensor, way: Direction) -> SE3:
    """cam_from_world of cameras with these centres (n, 3), whose rotations (n, 3, 3) go that way."""
    turn = rotation if way == "cam_from_world" else rotation.mT
    return SE3(turn, -(turn @ center[..., None])[..., 0])


def _together(center: Tensor, cam_from_world: Tensor) -> float:
    """How well cameras agree on a place before them: share that has it ahead, less the log of how far they miss it."""
    axis = cam_from_world[:, 2]
    toward = nearest_point_to_axes(center, axis) - center
    along = (toward * axis).sum(-1)
    across = (toward - along[:, None] * axis).norm(dim=-1)
    miss = torch.where(along > 0, across, toward.norm(dim=-1)).mean()
    return float((along > 0).double().mean() - miss.clamp_min(1e-9).log())


def _cells(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """(place, row) of each line, every wanted column present."""
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        got = "no file" if not path.is_file() else f"{path.stat().st_size >> 20} MiB"
        raise ResectError(path, f"a list with columns {', '.join(COLUMNS)}", got)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        missing = [c for c in COLUMNS if c not in ("split", "seq", *(reader.fieldnames or ()))]
        if missing:
            fix = "Each row says which place it is of, which photo, and its pose; or give NAME=FOLDER for each place."
            raise ResectError(path, f"columns {', '.join(COLUMNS)}", f"no {', '.join(missing)}", fix)
        places, rows, seen = list[str](), list[dict[str, str]](), set[str]()
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if len(rows) >= MAX_FRAMES:
                raise ResectError(path, f"at most {MAX_FRAMES} rows", "more")
            if any(row.get(c) is None for c in COLUMNS if c not in missing and c in (reader.fieldnames or ())):
                raise ResectError(where, f"{len(reader.fieldnames or ())} cells", "fewer", "The row is cut short.")
            if not row["scene"].strip():
                raise ResectError(where, "the name of a scene", "none", "Each row says which place it is of.")
            if row["img_path"] in seen:
                raise ResectError(where, "each photo once", f"{row['img_path']!r} twice")
            seen.add(row["img_path"])
            places.append(where)
            rows.append(row)
    if not rows:
        raise ResectError(path, "at least one row", "none")
    return places, rows
