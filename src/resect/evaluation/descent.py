"""How a refinement went, step by step: a table, curves, and a film of the render as it slides onto the photo."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from resect.artifact import write_atomic
from resect.errors import ResectError
from resect.evaluation.charts import Series, legend
from resect.evaluation.path_charts import error_chart
from resect.evaluation.pictures import painter, shrink, to_pil
from resect.evaluation.report import page
from resect.geometry.se3 import SE3
from resect.metrics.pose import pose_errors
from resect.protocols import Scene
from resect.types import Estimate, Photo

HEAD = ("step", "loss", "rotation_deg", "translation")
RENDERED = 0.7
"""Share of the render in a frame of the film; the rest is the photo."""
_CURVES = {"loss": "Loss", "rotation_deg": "Rotation error, degrees", "translation": "Translation error, units"}
_MOST_ROWS, _MOST_BYTES = 1_000_000, 64 << 20


@dataclass(frozen=True)
class Descent:
    """One refinement.

    Attributes:
        loss: at each step, on that step's pixels.
        rotation_deg: error after each step, NaN where the truth is not known.
        translation: the same of the camera's centre, world units.
    """

    loss: tuple[float, ...]
    rotation_deg: tuple[float, ...]
    translation: tuple[float, ...]


def descent_of(estimate: Estimate, truth: SE3 | None = None) -> Descent:
    """The steps of the hypothesis that ended best, from an estimate whose refiner keeps them.

    Args:
        estimate: with a trace.
        truth: one pose, to measure errors by.
    """
    if not estimate.trace:
        return Descent((), (), ())
    best = int(estimate.trace[-1].loss.argmin())
    poses = SE3.stack([step.cam_from_world[best] for step in estimate.trace])
    loss = tuple(float(step.loss[best]) for step in estimate.trace)
    if truth is None:
        unknown = (math.nan,) * len(loss)
        return Descent(loss, unknown, unknown)
    n = len(loss)
    turn, shift = pose_errors(poses, SE3(truth.R.expand(n, 3, 3), truth.t.expand(n, 3)))
    return Descent(loss, tuple(turn.tolist()), tuple(shift.tolist()))


def write_descent(path: Path, descent: Descent) -> None:
    """A CSV, a row a step; errors are empty where they are not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for k, row in enumerate(zip(descent.loss, descent.rotation_deg, descent.translation, strict=True), 1):
        writer.writerow([k, *("" if math.isnan(x) else f"{x:.8g}" for x in row)])
    write_atomic(path, text.getvalue().encode())


def read_descent(path: Path) -> Descent:
    """Reads such a CSV."""
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise ResectError(path, f"a CSV with {', '.join(HEAD)}", "no file" if not path.is_file() else "a larger one")
    rows = list(csv.reader(path.read_text("utf-8").splitlines()))
    if not rows or tuple(rows[0]) != HEAD or len(rows) > _MOST_ROWS:
        raise ResectError(path, f"a first line {','.join(HEAD)}", ",".join(rows[0])[:80] if rows else "nothing")
    try:
        values = [[math.nan if x == "" else float(x) for x in row[1:4]] for row in rows[1:]]
        loss, turn, shift = (tuple(v[k] for v in values) for k in range(3))
    except (ValueError, IndexError) as error:
        raise ResectError(path, "numbers", str(error)[:80]) from None
    return Descent(loss, turn, shift)


def write_curves(path: Path, runs: Mapping[str, Descent], title: str = "Steps") -> None:
    """A page with the curves of several runs laid over each other: loss, rotation and translation error."""
    parts = [
        f"<h2>{label}</h2>{error_chart(steps, lines, 'step')}"
        for name, label in _CURVES.items()
        if (steps := torch.arange(1.0, 1 + max((len(d.loss) for d in runs.values()), default=0))).numel()
        and (lines := _lines(runs, name, len(steps)))
    ]
    names = legend([Series(run, ()) for run in runs])
    write_atomic(path, page(title, names + "".join(parts)).encode())


def _lines(runs: Mapping[str, Descent], name: str, steps: int) -> dict[str, Float[Tensor, "n"]]:
    """One curve of each run that has it, the last value held to the end."""
    found = {}
    for run, descent in runs.items():
        values = torch.tensor(getattr(descent, name), dtype=torch.float64)
        if len(values) and bool(values.isfinite().all()):
            found[run] = torch.cat([values, values[-1:].expand(steps - len(values))])
    return found


def film(photo: Photo, estimate: Estimate, scene: Scene, *, every: int = 20, side: int = 320) -> list[Image.Image]:
    """Renders of every so many steps, the first and the last among them, laid on the photo; of half its size, as a film
    of a NeRF costs several times what the steps did.
    """
    paint = painter(scene)
    if paint is None or not estimate.trace:
        return []
    best = int(estimate.trace[-1].loss.argmin())
    camera = photo.known_camera().fit_within(side)
    seen, coarse = shrink(to_pil(photo.image), camera), camera.fit_within(side // 2)
    steps = sorted({*range(0, len(estimate.trace), every), len(estimate.trace) - 1})
    frames = []
    for k in steps:
        shown = to_pil(paint(coarse, estimate.trace[k].cam_from_world[best]))
        frames.append(Image.blend(seen, shown.resize(seen.size), RENDERED))
    return frames


def median_curve(runs: Sequence[Descent]) -> Descent:
    """Medians over several runs of the same number of steps."""
    steps = min((len(r.loss) for r in runs), default=0)

    def middle(name: str) -> tuple[float, ...]:
        table = torch.tensor([getattr(r, name)[:steps] for r in runs], dtype=torch.float64)
        return tuple(table.median(0).values.tolist()) if steps else ()

    return Descent(middle("loss"), middle("rotation_deg"), middle("translation"))
