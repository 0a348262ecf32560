"""Errors and recalls of a file of poses. Every photo is in the denominator; a failed one has infinite error."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resect.errors import ResectError
from resect.evaluation.mistakes import likely_mistakes
from resect.evaluation.pose_file import PoseList, PoseRow, read_poses, status_facts
from resect.evaluation.reference import (
    Reference,
    in_world_units,
    match_names,
    reference_for,
    reference_from_list,
    scaled_covariance,
)
from resect.evaluation.run_folder import Run, finite, number_in, read_run
from resect.geometry.se3 import SE3
from resect.metrics.calibration import Share, mahalanobis2, reliability, share_inside
from resect.metrics.pose import RECALLS, SOLVED, median, pose_errors, recall, within
from resect.types import PhotoSet

MISSING = "MISSING"
_LEVEL = 0.9


@dataclass(frozen=True, eq=False)
class PhotoScore:
    """One answer and its errors.

    Attributes:
        photo: name in the truth.
        status: of the answer; "MISSING" where the file has none.
        cam_from_world: what was answered, in the truth's units; `None` for a failure.
        truth: the true pose.
        rotation_deg: error, infinite for a failure.
        translation: distance of the camera centres, world units; infinite for a failure.
        target: what was asked for in the photo.
        modes: how many poses were given.
        mass: of the best mode, where the file has weights.
        seconds: from decoded photo to answer.
        oracle: whether the start was made from the truth.
        d2: squared Mahalanobis distance of the truth, where there is a covariance.
    """

    photo: str
    status: str
    cam_from_world: SE3 | None
    truth: SE3
    rotation_deg: float
    translation: float
    target: str = ""
    modes: int = 0
    mass: float | None = None
    seconds: float | None = None
    oracle: bool = False
    d2: float | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.cam_from_world is not None


@dataclass(frozen=True, eq=False)
class Score:
    """All answers of a file and what they amount to.

    Attributes:
        photos: one for each answer that was asked for, in the truth's order.
        scene_scale: world units.
        meters_per_unit: length of a world unit, if known.
        missing: photos that the file does not name; they count as failed.
        unknown: photos that the file names and the truth does not; they count nowhere.
        load_seconds: what loading the scene took, where the run says so.
        prior: where the starts of the answers came from → how often, where the run says so.
        notes: what a reader of the numbers should know.
    """

    photos: tuple[PhotoScore, ...]
    scene_scale: float
    meters_per_unit: float | None
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    load_seconds: float | None = None
    prior: Mapping[str, int] | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def rotation_deg(self) -> Tensor:
        """Errors of all photos, degrees."""
        return torch.tensor([p.rotation_deg for p in self.photos], dtype=torch.float64)

    @property
    def translation(self) -> Tensor:
        """Errors of all photos, world units."""
        return torch.tensor([p.translation for p in self.photos], dtype=torch.float64)

    @property
    def unit(self) -> str:
        """What `median_translation` is in: "m" or "scene"."""
        return "scene" if self.meters_per_unit is None else "m"

    @property
    def failed(self) -> int:
        """Photos without an answer."""
        return sum(not p.ok for p in self.photos)

    @property
    def solved(self) -> Tensor:
        """Which photos are within 5° and 0.05 of the scene's scale."""
        inside = within(self.rotation_deg, self.translation, SOLVED, **self._lengths)
        assert inside is not None
        return inside

    @property
    def accepted_wrong(self) -> int:
        """Answers with a success status that are not solved."""
        return sum(p.ok and not s for p, s in zip(self.photos, self.solved.tolist(), strict=True))

    @property
    def _lengths(self) -> dict[str, Any]:
        return {"scene_scale": self.scene_scale, "meters_per_unit": self.meters_per_unit}

    @property
    def recalls(self) -> dict[str, float]:
        """Share of photos below each pair of thresholds; those in centimetres only where metres are known."""
        found = {r.name: recall(self.rotation_deg, self.translation, r, **self._lengths) for r in RECALLS}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def d2(self) -> Tensor:
        """Squared Mahalanobis distances of the answers that state a covariance."""
        return torch.tensor([p.d2 for p in self.photos if p.d2 is not None], dtype=torch.float64)

    @property
    def inside(self) -> Share | None:
        """How many truths lie in the 90 % ellipsoid, where covariances are stated."""
        return share_inside(self.d2, _LEVEL) if len(self.d2) else None

    @property
    def seconds_per_photo(self) -> float | None:
        """Median over the photos whose time is known."""
        known = [p.seconds for p in self.photos if p.seconds is not None]
        return median(torch.tensor(known, dtype=torch.float64)) if known else None

    def as_json(self) -> dict[str, Any]:
        """What `resect score --json` prints; infinite medians are null."""
        meters, count = self.meters_per_unit or 1.0, len(self.photos)
        translation = median(self.translation)
        facts: dict[str, Any] = {
            "photos": count,
            "failed": self.failed,
            "accepted_wrong": self.accepted_wrong,
            "not_improved": sum(p.status == "NOT_IMPROVED" for p in self.photos),
            "status": dict(Counter(p.status for p in self.photos).most_common()),
            "median_rotation_deg": median(self.rotation_deg),
            "median_translation": translation * meters,
            "median_translation_scale": translation / self.scene_scale if self.scene_scale else None,
            "translation_unit": self.unit,
            "scene_scale": self.scene_scale * meters,
            "recall": self.recalls,
            "seconds_per_photo": self.seconds_per_photo,
            "load_seconds": self.load_seconds,
            "oracle": any(p.oracle for p in self.photos),
            "prior": None if self.prior is None else dict(self.prior),
            "calibration": self._calibration(),
            "missing": list(self.missing),
            "unknown": list(self.unknown),
            "notes": list(self.notes),
        }
        return dict(finite(facts))

    def _calibration(self) -> dict[str, Any] | None:
        inside = self.inside
        if inside is None:
            return None
        curve = [[level, share.value] for level, share in reliability(self.d2)]
        share = {"share_in_90": inside.value, "low": inside.low, "high": inside.high}
        return {"answers": inside.count, **share, "curve": curve}

    def text(self) -> str:
        """The score in a few lines."""
        from resect.evaluation.wording import score_lines

        return "\n".join(score_lines(self))


def score(
    poses: Path | PoseList, truth: PhotoSet | Reference | Path, *, train: Path | None = None, run: Run | None = None
) -> Score:
    """Judges a file of poses.

    Args:
        poses: a Pose file, or a list of another system.
        truth: posed photos (those that the run held out are judged), a `Reference`, or a published list.
        train: with a list: that of the training photos, which the scene's scale is taken from.
        run: of the answers; by default the one beside the Pose file.
    """
    answered = poses if isinstance(poses, PoseList) else read_poses(poses)
    if run is None and isinstance(poses, Path):
        run = read_run(poses)
    if isinstance(truth, PhotoSet):
        reference = reference_for(poses if isinstance(poses, Path) else Path("poses.csv"), answered, truth)
    else:
        reference = truth if isinstance(truth, Reference) else reference_from_list(truth, train)
    return score_against(answered, reference, run)


def score_against(answered: PoseList, reference: Reference, run: Run | None = None) -> Score:
    """Judges answers against true poses."""
    partner = match_names([r.photo for r in answered.rows], reference.names)
    if answered.rows and not partner:
        fix = "Give the truth of the same photos; names are compared as paths from the data folder."
        got = f"'{answered.rows[0].photo}' and '{reference.names[0]}'"
        raise ResectError(answered.format, "names of the same photos in both files", got, fix)
    groups: dict[str, list[tuple[PoseRow, ...]]] = {}
    for (name, _), rows in answered.groups().items():
        if name in partner:
            groups.setdefault(partner[name], []).append(rows)
    found = _judge(groups, answered, reference)
    unknown = tuple(dict.fromkeys(r.photo for r in answered.rows if r.photo not in partner))
    missing = tuple(p.photo for p in found if p.status == MISSING)
    load = next((v for e in run.log if (v := number_in(e, "load_seconds")) is not None), None) if run else None
    prior = Counter(str(e.get("source") or "?").split(":")[0] for e in run.log if e.get("modes")) if run else None
    pairs = [(p.cam_from_world, p.truth) for p in found if p.cam_from_world is not None]
    wrong = likely_mistakes(*(SE3.stack(side) for side in zip(*pairs, strict=True))) if pairs else ()
    notes = (*answered.notes, *reference.notes, *_remarks(missing, unknown, answered, reference), *wrong)
    return Score(found, reference.scene_scale, reference.meters_per_unit, missing, unknown, load, prior, notes)


def _remarks(missing: Sequence[str], unknown: Sequence[str], answered: PoseList, reference: Reference) -> list[str]:
    notes = []
    if answered.unit == "m" and reference.meters_per_unit is None:
        notes.append("The file is in metres and the truth in units of unknown length; they were taken to be the same.")
    if missing:
        notes.append(f"{len(missing)} of {len(reference.names)} photos are not in the file and count as failed.")
    if unknown:
        notes.append(f"{len(unknown)} photos in the file have no truth and count nowhere, e.g. '{unknown[0]}'.")
    if not reference.scene_scale > 0:
        notes.append("The scene's scale is zero or unknown, so nothing can be within a part of it.")
    return notes


def _judge(
    groups: Mapping[str, Sequence[tuple[PoseRow, ...]]], answered: PoseList, reference: Reference
) -> tuple[PhotoScore, ...]:
    found: list[PhotoScore] = []
    for i, name in enumerate(reference.names):
        truth = reference.cam_from_world[i]
        for rows in groups.get(name, ()):
            found.append(_one(name, rows, truth, answered, reference))
        if name not in groups:
            found.append(PhotoScore(name, MISSING, None, truth, math.inf, math.inf))
    return tuple(found)


def _one(name: str, rows: Sequence[PoseRow], truth: SE3, answered: PoseList, reference: Reference) -> PhotoScore:
    best = rows[0]
    oracle = any(r.oracle for r in rows)
    if best.cam_from_world is None or not status_facts(best.status)[0]:
        failed = PhotoScore(name, best.status, None, truth, math.inf, math.inf, best.target, seconds=best.seconds)
        return failed if not oracle else PhotoScore(**{**vars(failed), "oracle": True})
    pose, factor = in_world_units(best.cam_from_world, answered.unit, reference.meters_per_unit)
    rotation, translation = pose_errors(pose, truth, reference.symmetries)
    weights = [r.log_weight for r in rows if r.log_weight is not None]
    mass = None
    if len(weights) == len(rows):
        mass = float(torch.tensor(weights, dtype=torch.float64).softmax(0)[0])
    return PhotoScore(
        name, best.status, pose, truth, float(rotation), float(translation), best.target, len(rows), mass,
        best.seconds, oracle, _distance(best, pose, truth, factor),
    )  # fmt: skip


def _distance(row: PoseRow, pose: SE3, truth: SE3, factor: float) -> float | None:
    """d² of the truth, where the covariance has no direction without variance."""
    if row.covariance is None:
        return None
    covariance = scaled_covariance(row.covariance, factor)
    if bool((covariance.diagonal() <= 0).any()):
        return None
    try:
        return float(mahalanobis2(pose, truth, covariance))
    except RuntimeError:  # a correlation of exactly one
        return None
