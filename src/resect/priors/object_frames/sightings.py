"""What a detector sees in posed photos, kept photo by photo: it takes seconds of each."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from resect.artifact import read_json, write_json
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.priors.object_frames.register import Sighting
from resect.protocols import Detector
from resect.training.log import Progress
from resect.types import PhotoSet

MOST = 1000  # objects in a photo
SEEN = "seen.json"  # in the folder of the artefact, until that is there
Seen = dict[str, list[float]]  # object id → quaternion w x y z and translation of its surest detection's likeliest pose


def look(data: PhotoSet, detector: Detector, kept: Path | None, key: str, progress: Progress | None) -> list[Seen]:
    """What is seen in each photo, of each object where the detector is surest of it.

    Args:
        data: the photos.
        detector: sees.
        kept: file that is written after each photo, and gone on from.
        key: of the photos and the detector; a file of others is begun anew.
        progress: called with (photo, photos, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C, with what was seen kept.
    """
    seen = [] if kept is None else _read(kept, key, len(data))
    try:
        for i in range(len(seen), len(data)):
            found: Seen = {}
            for photo, guess in detector.detect(replace(data[i], target=None), MOST):
                if photo.target is not None and len(guess) and photo.target.object_id not in found:
                    pose = guess.cam_from_world[0].double()
                    found[photo.target.object_id] = [*so3.to_quaternion(pose.R).tolist(), *pose.t.tolist()]
            seen.append(found)
            if kept is not None:
                write_json(kept, {"of": key, "seen": seen})
            if progress is not None:
                progress(i + 1, len(data), ", ".join(found))
    except KeyboardInterrupt:
        if kept is None:
            raise
        raise KeyboardInterrupt(f"stopped after {len(seen)} of {len(data)} photos; they are saved") from None
    return seen


def by_object(cam_from_world: SE3, seen: list[Seen]) -> dict[str, Sighting]:
    """Object id → its poses beside the true ones of the cameras."""
    rows: dict[str, list[int]] = {}
    for i, found in enumerate(seen):
        for name in found:
            rows.setdefault(name, []).append(i)
    return {name: Sighting(cam_from_world[k].double(), _poses(name, seen, k)) for name, k in rows.items()}


def _poses(name: str, seen: list[Seen], rows: list[int]) -> SE3:
    numbers = torch.tensor([seen[i][name] for i in rows], dtype=torch.float64)
    return SE3(so3.from_quaternion(numbers[:, :4]), numbers[:, 4:])


def _read(kept: Path, key: str, photos: int) -> list[Seen]:
    facts: Any = read_json(kept) if kept.is_file() else None
    if not isinstance(facts, Mapping) or facts.get("of") != key:
        return []
    seen = facts.get("seen")
    if not isinstance(seen, list) or len(seen) > photos or not all(_sound(found) for found in seen):
        return []
    return seen


def _sound(found: Any) -> bool:
    rows = list(found.values()) if isinstance(found, dict) else [None]
    return all(isinstance(row, list) and len(row) == 7 and all(isinstance(v, float) for v in row) for row in rows)
