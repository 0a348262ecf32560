"""What `resect estimate` was given and what became of it: files, answers, and how they are told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resect.cli.knowledge import sigmas_from
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.priors.given import Given
    from resect.types import Estimate, Photo

_SURPRISING_SIGMAS = 5.0


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one file, or of one object in it.

    Attributes:
        name: of the photo, unique among the files.
        found: the photo and its estimate, or why the file could not be used.
    """

    name: str
    found: "tuple[Photo, Estimate] | str"


def photo_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Name → file; names are as short as they can be and still differ."""
    from resect.data.image import SUFFIXES

    files = []
    for path in paths:
        if not path.exists():
            raise ResectError(path, "a photo or a folder of photos", "nothing there")
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        files += [p for p in inside if p not in files]
    if not files:
        raise ResectError(", ".join(map(str, paths)) or "resect estimate", "at least one photo", "none")
    parts = 1
    while Counter(_tail(p, parts) for p in files).most_common(1)[0][1] > 1:
        parts += 1
    return {_tail(p, parts): p for p in files}


def _tail(path: Path, parts: int) -> str:
    return "/".join(p for p in path.absolute().parts[-parts:] if p not in ("..", "/"))


def facts_of(answer: Answer, near: "Given | None" = None) -> dict[str, Any]:
    """An answer as JSON; `camera_center` is there exactly where there is a pose."""
    from resect.geometry.so3 import to_quaternion

    facts: dict[str, Any] = {"photo": answer.name}
    if isinstance(answer.found, str):
        return {**facts, "status": "UNREADABLE", "sentence": answer.found, "advice": ""}
    _, estimate = answer.found
    facts |= {"status": estimate.status.name, "camera_source": estimate.camera_source}
    facts["seconds"] = round(estimate.cost.seconds, 3)
    pose = estimate.cam_from_world
    if pose is None or estimate.modes is None:
        return {**facts, "sentence": estimate.status.sentence, "advice": estimate.status.advice}
    facts["cam_from_world_wxyz"] = to_quaternion(pose.R).tolist()
    facts["cam_from_world_t"] = pose.t.tolist()
    facts["camera_center"] = pose.center.tolist()
    facts["modes"] = len(estimate.modes)
    facts["source"] = estimate.modes.source[0] if estimate.modes.source else None
    if estimate.camera is not None:
        facts["focal_px"] = estimate.camera.fx
    covariance = estimate.covariance
    if covariance is not None:
        sigma = covariance.diagonal().clamp_min(0).sqrt()
        facts["sigma_units"] = float(sigma[:3].norm())
        facts["sigma_deg"] = float(sigma[3:].norm().rad2deg())
    if near is not None:
        facts["near_sigmas"] = round(sigmas_from(near, pose), 2)
    return facts


def line_of(row: dict[str, Any]) -> str:
    """An answer in one line, from its facts."""
    if "camera_center" not in row:
        return f"{row['photo']}: {row['status']}. {row['sentence']} {row['advice']}".rstrip()
    center = " ".join(f"{x:.4f}" for x in row["camera_center"])
    quaternion = " ".join(f"{x:.5f}" for x in row["cam_from_world_wxyz"])
    spread = f"  ± {row['sigma_units']:.4f} units, {row['sigma_deg']:.3f}°" if "sigma_deg" in row else ""
    far = row.get("near_sigmas", 0.0)
    start = f"  from {row['source']}" if row.get("source") else ""
    doubt = f"  but {far:.0f} σ from --near" if far > _SURPRISING_SIGMAS else ""
    return f"{row['photo']}: {row['status']}  centre {center}  cam_from_world wxyz {quaternion}{spread}{start}{doubt}"
