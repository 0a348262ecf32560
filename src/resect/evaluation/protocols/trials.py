"""Runs a refiner from many starts and says what came of them."""

import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from resect.errors import ResectError
from resect.evaluation import wording
from resect.evaluation.pose_file import ERROR, UNREADABLE, PoseRow, parse_pose_file, rows_of
from resect.evaluation.predict import Done, facts_of
from resect.evaluation.protocols.starts import Start
from resect.evaluation.reference import Reference
from resect.evaluation.run_folder import finite, number_in, open_run, read_run
from resect.evaluation.score import Score, score_against
from resect.metrics.pose import median, pose_errors, scene_scale
from resect.types import Estimate, Hypotheses, Photo, PhotoSet, Split

Refine = Callable[[Photo, Hypotheses], Estimate]
_TIGHT_DEG, _TIGHT_SCALE = 0.5, 0.01  # within this of the truth, "worse than the start" means nothing


@dataclass(frozen=True, eq=False)
class Trials:
    """What came of all starts of one refiner.

    Attributes:
        refiner: its name.
        protocol: name of the benchmark.
        words: the perturbation: frame, pivot, distribution, seed.
        score: each trial is one "photo"; its target names the start.
        start_rotation_deg: error of the start of each trial.
        start_translation: likewise, world units.
        rays: rendered in each trial; NaN where unknown.
        unit: world units of one length of the protocol.
    """

    refiner: str
    protocol: str
    words: str
    score: Score
    start_rotation_deg: torch.Tensor
    start_translation: torch.Tensor
    rays: torch.Tensor
    unit: float = 1.0

    def within(self, rotation_deg: float, length: float) -> float:
        """Share of trials below both; `length` in the protocol's unit."""
        rotation, translation = self.score.rotation_deg, self.score.translation
        return float(((rotation < rotation_deg) & (translation < length * self.unit)).double().mean())

    def as_json(self) -> dict[str, Any]:
        """Shares over all trials, failures counting as infinite error."""
        s = self.score
        rotation, translation = s.rotation_deg, s.translation
        ok = torch.tensor([p.ok for p in s.photos])
        wrong = ~s.solved
        worse = ok & ((rotation > self.start_rotation_deg) | (translation > self.start_translation))
        tight = (rotation < _TIGHT_DEG) & (translation < _TIGHT_SCALE * s.scene_scale)
        facts = {
            "refiner": self.refiner,
            "protocol": self.protocol,
            "perturbation": self.words,
            "oracle": True,
            "trials": len(s.photos),
            "failed": s.failed,
            "recall": s.recalls,
            "rotation_5deg": float((rotation < 5).double().mean()),
            "translation_0.05": float((translation < 0.05 * self.unit).double().mean()),
            "joint_5deg_0.05": self.within(5, 0.05),
            "mean_rotation_deg": float(rotation.mean()),
            "median_rotation_deg": median(rotation),
            "median_translation_scale": median(translation) / s.scene_scale if s.scene_scale else None,
            "worse_than_start": int((worse & ~tight).sum()),
            "start_returned": sum(p.status == "NOT_IMPROVED" for p in s.photos),
            "accepted_wrong": s.accepted_wrong,
            "wrong_with_failure_status": float((wrong & ~ok).sum() / wrong.sum()) if bool(wrong.any()) else None,
            "median_rays": median(self.rays[~self.rays.isnan()]),
            "seconds_per_trial": s.seconds_per_photo,
        }
        return dict(finite(facts))


def run_trials(
    refine: Refine,
    photos: PhotoSet,
    split: Split,
    starts: Sequence[Start],
    *,
    refiner: str,
    protocol: str,
    words: str,
    settings: object = None,
    unit: float = 1.0,
    change: Callable[[Photo], Photo] | None = None,
    out: Path | None = None,
    resume: bool = True,
    overwrite: bool = False,
    progress: Callable[[Done], None] | None = None,
) -> Trials:
    """Refines every start; with `out` the answers go to a Pose file photo by photo, and the same call resumes.

    Args:
        refine: photo and start → answer.
        photos: all of them; the truth is used for starts and errors only.
        split: training half for the scene's scale.
        starts: from a protocol.
        refiner: its name, for tables.
        protocol: name of the benchmark.
        words: the perturbation in words.
        settings: of protocol and refiner, for the record: a dataclass or a mapping.
        unit: world units of one length of the protocol.
        change: spoils a photo before it is refined.
        out: Pose file to make.
        resume: go on with an unfinished run.
        overwrite: throw away what is there.
        progress: told after each trial.
    """
    names = [photos.names[i] for i in split.train]
    asked = {"protocol": protocol, "refiner": refiner, "perturbation": words, "count": len(starts)}
    asked |= {"settings": _plain(settings), "trained_on": len(names)}
    cached: dict[int, Photo] = {}
    with _place(out) as path, open_run(path, asked, "scene", resume=resume, overwrite=overwrite) as run:
        for start in starts[len(run.entries) :]:
            rows, facts = _trial(refine, photos, start, change, cached)
            run.add(rows, facts)
            if progress is not None:
                progress(Done(len(run.entries), len(starts), rows[0].photo, rows[0].status, rows[0].seconds))
        run.finish()
        return _trials(path, photos, split, starts, refiner, protocol, words, unit)


@contextmanager
def _place(out: Path | None) -> Iterator[Path]:
    """Where the Pose file goes; to a folder that is thrown away when nobody asked for it."""
    if out is not None:
        yield out
        return
    with TemporaryDirectory() as folder:
        yield Path(folder) / "poses.csv"


def _plain(settings: object) -> Any:
    return asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else settings


def _trial(
    refine: Refine,
    photos: PhotoSet,
    start: Start,
    change: Callable[[Photo], Photo] | None,
    cached: dict[int, Photo],
) -> tuple[tuple[PoseRow, ...], dict[str, Any]]:
    name, status = photos.names[start.photo], UNREADABLE
    known: dict[str, Any] = {"photo": name, "target": start.label}
    try:
        if start.photo not in cached:
            cached.clear()
            photo = photos.load(start.photo)
            cached[start.photo] = photo if change is None else change(photo)
        began, status = time.perf_counter(), ERROR
        estimate = refine(cached[start.photo], start.hypotheses())
        seconds = time.perf_counter() - began
    except (ResectError, OSError) as error:
        known["message"] = str(error)
        return (PoseRow(name, UNREADABLE, None, start.label, oracle=True),), {**known, "status": UNREADABLE}
    except Exception:
        known["message"] = traceback.format_exc()[-4000:]
        return (PoseRow(name, status, None, start.label, oracle=True),), {**known, "status": status}
    rows = rows_of(name, estimate, seconds=seconds, target=start.label)
    # A refiner may lose the mark on the way; what began at the truth stays marked.
    rows = tuple(PoseRow(**{**vars(row), "oracle": True}) for row in rows)
    return rows, {**known, "status": rows[0].status, "seconds": seconds, **facts_of(estimate)}


def _trials(
    path: Path,
    photos: PhotoSet,
    split: Split,
    starts: Sequence[Start],
    refiner: str,
    protocol: str,
    words: str,
    unit: float,
) -> Trials:
    answered, run = parse_pose_file(path.read_text("utf-8"), path), read_run(path)
    truth = photos.truth.cam_from_world.double()
    index = list(dict.fromkeys(s.photo for s in starts))
    scale = scene_scale(truth[list(split.train or split.test)])
    meters = photos.world.meters_per_unit
    reference = Reference(
        tuple(photos.names[i] for i in index), truth[index], scale, meters, photos.truth.symmetries
    )  # fmt: skip
    found = score_against(answered, reference, run)
    by_label = {(photos.names[s.photo], s.label): s for s in starts}
    log = {(e.get("photo"), e.get("target")): e for e in run.log} if run is not None else {}
    errors = []
    for p in found.photos:
        start = by_label[p.photo, p.target]
        rotation, translation = pose_errors(start.cam_from_world[0], truth[start.photo], photos.truth.symmetries)
        rays = number_in(log.get((p.photo, p.target), {}), "rays")
        errors.append((float(rotation), float(translation), math.nan if rays is None else rays))
    rotations, translations, rays_ = torch.tensor(errors, dtype=torch.float64).reshape(-1, 3).unbind(-1)
    return Trials(refiner, protocol, words, found, rotations, translations, rays_, unit)


def trial_table(found: Sequence[Trials]) -> str:
    """Refiners side by side, as text; the perturbation stands above."""
    heads = ("refiner", "5°/0.05 scale", "1°/0.01 scale", "5°", "0.05", "median", "rays", "time", "worse", "wrong ok")
    rows = [heads, *(_cells(t) for t in found)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(heads))]
    lines = [
        "  ".join(cell.rjust(w) if k else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    words = list(dict.fromkeys(f"{t.protocol}: {t.words}; {len(t.score.photos)} trials, oracle starts" for t in found))
    return "\n".join([*words, *lines])


def _cells(trials: Trials) -> tuple[str, ...]:
    facts = trials.as_json()
    median_ = wording.angle(facts["median_rotation_deg"]) + " / "
    scale = facts["median_translation_scale"]
    median_ += "–" if scale is None else f"{scale:.4f}"
    rays = facts["median_rays"]
    return (
        trials.refiner,
        wording.percent(facts["recall"]["5deg_0.05scale"]),
        wording.percent(facts["recall"]["1deg_0.01scale"]),
        wording.percent(facts["rotation_5deg"]),
        wording.percent(facts["translation_0.05"]),
        median_,
        "–" if rays is None else f"{rays / 1000:.0f}k",
        wording.duration(facts["seconds_per_trial"]),
        str(facts["worse_than_start"]),
        str(facts["accepted_wrong"]),
    )
