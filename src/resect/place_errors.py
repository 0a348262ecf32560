"""How exact the scene of a place is: measured on photos that were left out, kept in `errors.json`, and read back."""

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from resect import artifact, zoo
from resect.errors import ResectError
from resect.refine.calibrate import calibrate, leave_out
from resect.refine.judge import ErrorModel
from resect.training.log import Progress
from resect.types import PhotoSet

_LEAST_MEASURED, _MOST_MEASURED = 3, 24


def measure_errors(
    name: str, train: PhotoSet, settings: object, out: Path, generator: torch.Generator, progress: Progress
) -> None:
    """Fits a second scene without some training photos and measures on them; too few photos are not measured on."""
    kept, held = leave_out(len(train))
    if len(held) < _LEAST_MEASURED:
        return
    fit = zoo.resolve(zoo.entry(name).fit)
    second = fit(train.subset(kept), _shorter(settings), out=None, generator=generator, progress=progress)
    held = held[:: -(-len(held) // _MOST_MEASURED)]
    errors = calibrate(second, train, held, report=lambda done, of: progress(done, of, "photos left out"))
    artifact.write_json(out / "errors.json", asdict(errors))


def _shorter(settings: Any) -> Any:
    """The same with half the steps where there are steps: a scene to measure on may be a little worse."""
    steps = getattr(settings, "steps", None)
    if isinstance(steps, tuple):
        return replace(settings, steps=tuple(max(1, n // 2) for n in steps))
    return replace(settings, steps=max(1, steps // 2)) if isinstance(steps, int) else settings


def read_errors(folder: Path) -> ErrorModel | None:
    """The error model of a place, if it has one, checked."""
    path = folder / "errors.json"
    if not path.is_file():
        return None
    facts = artifact.read_json(path)
    if not isinstance(facts, dict):
        raise ResectError(path, "an object", type(facts).__name__, "Fit it again.")
    found = artifact.settings_from_json(ErrorModel, facts, path)
    positive = (found.residual, found.independent, found.turn_rad)
    others = (found.shift, found.length, found.least_agreement)
    if not all(math.isfinite(x) for x in (*positive, *others)) or min(positive) <= 0 or min(others[:2]) < 0:
        raise ResectError(path, "finite, positive errors", str(facts), "Fit it again.")
    return found
