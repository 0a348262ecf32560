"""Poses of the held-out photos, into a Pose file. Truth is never looked at: only `photos.load` is called."""

import hashlib
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from resect.data.split import save_split
from resect.errors import ResectError, unknown_name
from resect.evaluation.pose_file import (
    ERROR,
    UNREADABLE,
    PoseList,
    PoseRow,
    Unit,
    read_poses,
    rows_of,
    status_facts,
    target_name,
)
from resect.evaluation.run_folder import open_run, run_folder
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.types import Estimate, Photo, PhotoSet, Split, Step

_MAX_STEPS = 32


class Estimator(Protocol):
    """Anything that answers a photo, such as a `Localizer`."""

    def estimate(self, photo: Photo) -> Estimate:
        """The answer."""
        ...


@dataclass(frozen=True)
class Done:
    """Told after each photo.

    Attributes:
        count: photos that are done, earlier ones of a resumed run included.
        total: photos of the run.
        photo: the one just done.
        status: how it ended.
        seconds: what it took; `None` if it was not answered.
    """

    count: int
    total: int
    photo: str
    status: str
    seconds: float | None


def predict(
    localizer: Estimator,
    photos: PhotoSet,
    split: Split,
    out: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    which: str = "test",
    resume: bool = True,
    overwrite: bool = False,
    load_seconds: float | None = None,
    progress: Callable[[Done], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> PoseList:
    """Answers photo after photo; the same call again goes on where the last one stopped.

    A photo that cannot be read, or on which resect fails, becomes a row with a status and does not stop the run.

    Args:
        localizer: answers one photo.
        photos: all of them.
        split: which are held out.
        out: the Pose file to make; `poses.run/` beside it keeps settings, log and cost.
        settings: what the answers depend on besides the photos (scene, prior, refiner, seed), as JSON; a run that
            was started with others is refused.
        which: photos: "test", "train" or "all".
        resume: go on with an unfinished run.
        overwrite: throw away what is there.
        load_seconds: what loading the scene took, for the record.
        progress: told after each photo.
        clock: seconds; the time of decoding a photo is kept apart.
    """
    halves = {"test": split.test, "train": split.train, "all": tuple(range(len(photos)))}
    if which not in halves:
        raise unknown_name("predict: which", which, halves)
    order = halves[which]
    if not order:
        raise ResectError("predict", f"at least one photo in the '{which}' half of the split", f"none ({split.rule})")
    unit: Unit = "m" if photos.world.meters_per_unit == 1.0 else "scene"
    asked = _asked(photos, split, which, order, unit, settings or {})
    with open_run(out, asked, unit, resume=resume, overwrite=overwrite) as run:
        if out.is_file() and len(run.entries) == len(order):
            (run_folder(out) / "poses.partial.csv").unlink(missing_ok=True)
            return read_poses(out)
        save_split(split, photos, run_folder(out) / "split.json")
        for i in order[len(run.entries) :]:
            rows, facts = _answer(localizer, photos, i, clock)
            run.add(rows, {**facts, "load_seconds": load_seconds})
            if progress is not None:
                progress(Done(len(run.entries), len(order), photos.names[i], rows[0].status, rows[0].seconds))
        run.finish()
    return read_poses(out)


def _asked(
    photos: PhotoSet, split: Split, which: str, order: tuple[int, ...], unit: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    names = hashlib.sha256("\0".join(photos.names[i] for i in order).encode()).hexdigest()
    data = {"format": photos.format, "unit": unit, "split": split.rule, "which": which, "count": len(order)}
    return {"resect_predict": 1, "data": {**data, "photo_names_sha256": names}, "settings": dict(settings)}


def _answer(
    localizer: Estimator, photos: PhotoSet, index: int, clock: Callable[[], float]
) -> tuple[tuple[PoseRow, ...], dict[str, Any]]:
    """The rows of one photo and what is worth knowing about how they came about."""
    name, began, status, message = photos.names[index], clock(), UNREADABLE, ""
    decoded, target = began, _unread_target(photos, index)
    try:
        photo = photos.load(index)
        decoded, status, target = clock(), ERROR, target_name(photo.target)
        estimate = localizer.estimate(photo)
    except (ResectError, OSError) as error:
        status, message = UNREADABLE, str(error)
    except Exception:
        message = traceback.format_exc()[-4000:]
    else:
        seconds = clock() - decoded
        facts = {"photo": name, "target": target, "seconds": seconds, "decode_seconds": decoded - began}
        rows = rows_of(name, estimate, seconds=seconds, target=target)
        return rows, {**facts, "status": rows[0].status, **facts_of(estimate)}
    # A photo that gave no answer has no time either: it would flatter the median.
    sentence = status_facts(status)[1]
    facts = {"photo": name, "target": target, "status": status, "message": message or sentence}
    return (PoseRow(name, status, None, target),), facts


def _unread_target(photos: PhotoSet, index: int) -> str:
    """What tells the rows of an image with several objects apart when it cannot be read."""
    name = photos.names[index]
    return f"?{photos.names[:index].count(name)}" if photos.names.count(name) > 1 else ""


def facts_of(estimate: Estimate) -> dict[str, Any]:
    """An answer's cost, losses, origin and way, as JSON."""
    cost, modes = estimate.cost, estimate.modes
    ms: dict[str, float] = {}
    for stage, value in cost.ms:
        ms[stage] = ms.get(stage, 0.0) + value
    return {
        "modes": 0 if modes is None else len(modes),
        "source": modes.source[0] if modes is not None and modes.source else "",
        "renders": cost.renders,
        "rays": cost.rays,
        "ms": ms,
        "loss": estimate.loss,
        "trace": [_moment(step) for step in _thin(estimate.trace) if len(step.loss)],
    }


def _thin(trace: tuple[Step, ...]) -> tuple[Step, ...]:
    """At most `_MAX_STEPS` of the steps, first and last among them."""
    if len(trace) <= _MAX_STEPS:
        return trace
    return tuple(trace[round(k * (len(trace) - 1) / (_MAX_STEPS - 1))] for k in range(_MAX_STEPS))


def best_path(trace: tuple[Step, ...]) -> list[SE3]:
    """Where the best hypothesis stood after each step, float64; not always the same one."""
    return [s.cam_from_world[_best(s)].double().to("cpu") for s in _thin(trace) if len(s.loss)]


def _best(step: Step) -> int:
    return int(torch.nan_to_num(step.loss.double(), nan=torch.inf).argmin())


def _moment(step: Step) -> dict[str, Any]:
    """Where the best hypothesis stood after a step: wxyz and t of its `cam_from_world`."""
    loss, best = step.loss, _best(step)
    pose = step.cam_from_world[best].double().to("cpu")
    numbers = [*so3.to_quaternion(pose.R).tolist(), *pose.t.tolist()]
    return {"stage": step.stage, "loss": float(loss[best]), "hypotheses": len(loss), "cam_from_world": numbers}
