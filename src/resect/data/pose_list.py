"""Relocalisation lists, a pose a line: `file qw qx qy qz tx ty tz …`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from resect.data.gather import MAX_FRAMES, Part
from resect.data.rigid import number, rigid_from_quaternion
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3

_MAX_BYTES = 1 << 30
Order = Literal["wxyz", "xyzw"]


@dataclass(frozen=True, eq=False)
class ListedPose:
    """One line of a relocalisation list.

    Attributes:
        name: image file as the list writes it.
        cam_from_world: float64.
        focal: in pixels, if listed.
        part: which half it belongs to, if listed.
    """

    name: str
    cam_from_world: SE3
    focal: float | None
    part: Part | None = None


def text_lines(path: Path) -> list[tuple[str, str]]:
    """(place, line) of a bounded text file, without comments and empty lines."""
    if not path.is_file():
        raise ResectError(path, "a text file", "no file")
    if path.stat().st_size > _MAX_BYTES:
        raise ResectError(path, "at most 1 GiB of text", f"{path.stat().st_size >> 20} MiB")
    lines = path.read_text("utf-8", "replace").splitlines()
    said = [(f"{path}:{i + 1}", line.strip()) for i, line in enumerate(lines)]
    kept = [(where, line) for where, line in said if line and not line.startswith("#")]
    if len(kept) > MAX_FRAMES:
        raise ResectError(path, f"at most {MAX_FRAMES} lines", str(len(kept)))
    return kept


def read_pose_list(path: Path) -> list[ListedPose]:
    """Lines `file qw qx qy qz tx ty tz`, cam_from_world, then nothing, a focal length, or focal length and confidence.

    Eleven columns are ACE's, whose last three are errors and inliers, without a focal length.
    """
    poses = []
    for where, line in text_lines(path):
        words = line.replace(",", " ").split()
        if not 8 <= len(words) <= 11:
            raise ResectError(where, "file qw qx qy qz tx ty tz [focal]", line[:80])
        values = [number(where, w) for w in words[1:]]
        focal = number(where, words[8], positive=True) if len(words) in (9, 10) else None
        poses.append(ListedPose(words[0], rigid_from_quaternion(where, values[:4], values[4:7]), focal))
    if not poses:
        raise ResectError(path, "at least one pose", "none")
    return poses


def quaternion_order_note(stored: SE3, order: Order, *, inverse: bool) -> list[str]:
    """What to say when quaternions look as if written in the other order.

    A wrong order is still a unit quaternion. But people and robots hold cameras upright: the cameras' up directions
    agree with each other, and they stop agreeing when the order is wrong. Says nothing for fewer than five poses, or
    where the rotations are too alike to tell; `check` compares with the photos, which always can.

    Args:
        stored: the poses as the file stores them, read in the declared order.
        order: the declared order.
        inverse: whether the file stores world_from_cam.
    """
    columns = so3.to_quaternion(stored.R)
    if order == "xyzw":
        columns = columns.roll(-1, -1)
        other = columns
    else:
        other = columns.roll(1, -1)
    given, swapped = (_agreement(r if inverse else r.mT) for r in (stored.R, so3.from_quaternion(other)))
    if len(columns) < 5 or swapped < 0.8 or given > swapped - 0.3:
        return []
    likely = "xyzw" if order == "wxyz" else "wxyz"
    said = f"{swapped:.2f} of 1 when read as {likely}, {given:.2f} as {order}"
    return [f"The quaternions look swapped: this file should have {order}, but cameras agree on up to {said}."]


def _agreement(world_from_cam: torch.Tensor) -> float:
    """Length of the mean up direction: 1 where all cameras agree."""
    return float(world_from_cam[:, :, 1].mean(0).norm())
