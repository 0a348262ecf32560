"""Densities over rotations against true rotations, a row a class: likelihood, errors, accuracy, spread, calibration.

Log-likelihoods are in the field's measure, of total π² (uniform: −2.29), and stand beside their ceiling: what the best
density that is constant on cells of the same grid would get. Every image counts.
"""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resect.artifact import write_atomic
from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.evaluation.spacecraft_score import SpacecraftScore
from resect.geometry.se3 import SE3
from resect.metrics.rotation import JudgedRotation, RotationReport, RotationSummary, judge, summarize
from resect.metrics.spacecraft import spacecraft_scores
from resect.priors.rotations.prior import RotationPrior

_BATCH = 16
_UNIFORM = -2 * math.log(math.pi)


@dataclass(frozen=True)
class RotationScore:
    """Figures of a set, and of each image.

    Attributes:
        report: figures of classes, and their means.
        judged: each image.
        names: of the images.
        symmetric: whether equivalent rotations were known.
        placed: of positions too, where the network tells them and the labels hold them.
    """

    report: RotationReport
    judged: tuple[JudgedRotation, ...]
    names: tuple[str, ...]
    symmetric: bool
    placed: SpacecraftScore | None = None

    def as_json(self) -> dict[str, Any]:
        """What `resect score --json` prints; means over classes, with each class beside."""
        calibration = {f"{claimed:g}": share.inside / max(1, share.count) for claimed, share in self.report.calibration}
        return {
            **_facts(self.report.over_classes),
            "images": len(self.judged),
            "uniform_log_likelihood": _UNIFORM,
            "calibration": calibration,
            "classes": {name: _facts(summary) for name, summary in self.report.classes},
            **({} if self.placed is None else {"placed": self.placed.as_json()}),
        }

    def text(self) -> str:
        """A table."""
        rows = list(self.report.classes)
        if len(rows) > 1:
            rows.append(("mean", self.report.over_classes))
        width = max(6, *(len(name) for name, _ in rows)) + 2
        head = ("images", "log-lik.", "ceiling", "median", "to equiv.", "acc@15", "acc@30", "spread")
        lines = [" " * width + "".join(f"{h:>10}" for h in head)]
        for name, s in rows:
            degrees = [f"{x:.1f}°" for x in (s.median_deg, s.reduced_median_deg)]
            values = (str(s.count), f"{s.log_likelihood:.2f}", f"{s.ceiling:.2f}", *degrees)
            shares = (f"{s.acc15:.3f}", f"{s.acc30:.3f}", f"{s.spread_deg:.1f}°")
            lines.append(f"{name:<{width}}" + "".join(f"{v:>10}" for v in (*values, *shares)))
        level = self.report.over_classes.level
        note = f"log-likelihood in nats, π² measure, on the level-{level} grid; a uniform density has {_UNIFORM:.2f}"
        labels = "median, acc@15 and acc@30 are to the one label, 'to equiv.' to the nearest equivalent"
        known = (
            f"; {labels}" if self.symmetric else "; equivalent rotations are not known, so errors are to the one label"
        )
        placed = [] if self.placed is None else [self.placed.text()]
        return "\n".join([*lines, note + known, *placed])

    def write(self, path: Path) -> None:
        """A row an image."""
        rows: list[list[object]] = [["image", "category", "error_deg", "reduced_deg", "log_likelihood", "ceiling"]]
        away = [] if self.placed is None else self.placed.position.tolist()
        rows[0] += ["position_error"] if away else []
        for i, (name, one) in enumerate(zip(self.names, self.judged, strict=True)):
            numbers = (one.error_deg, one.reduced_deg, one.log_likelihood, one.ceiling, *away[i : i + 1])
            rows.append([name, one.category, *(f"{x:.6g}" for x in numbers)])
        from io import StringIO

        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        write_atomic(path, text.getvalue().encode())


def score_rotations(
    prior: RotationPrior,
    data: RotationSet,
    *,
    level: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> RotationScore:
    """Asks a network about every image, and compares with the labels; it is shown photos and their targets alone.

    Args:
        prior: the network.
        data: images with true rotations, and equivalents where they are known.
        level: of the finest cells; the network's own when not given.
        progress: called with (done, of, name).
    """
    if len(data) == 0:
        raise ResectError("score", "at least one image", "none", "Check the data and --split.")
    finest = prior.settings.density_level if level is None else level
    judged: list[JudgedRotation] = []
    poses: list[SE3] = []
    for first in range(0, len(data), _BATCH):
        rows = range(first, min(first + _BATCH, len(data)))
        codes, views = prior.codes([data.photo(i) for i in rows])
        for i, code, view in zip(rows, codes, views, strict=True):
            truths = None if data.equivalents is None else view.turn @ data.equivalents(i).double().cpu()
            ideal = None if data.ideal is None else data.ideal(i, finest)
            label = view.turn @ data.rotation[i].double().cpu()
            judged.append(judge(prior.density_of(code, finest), label, truths, data.categories[i], ideal=ideal))
            stands = None if data.translation is None else prior.position(code, view)
            if stands is not None:
                poses.append(SE3(view.turn.mT @ prior.rotation_of(code, finest), stands[0]))
            if progress is not None:
                progress(i + 1, len(data), data.names[i])
    placed = None
    if data.translation is not None and len(poses) == len(data):
        scores = spacecraft_scores(SE3.stack(poses), SE3(data.rotation.cpu(), data.translation.cpu()))
        placed = SpacecraftScore.of(data.names, scores)
    return RotationScore(summarize(judged), tuple(judged), data.names, data.equivalents is not None, placed)


def _facts(s: RotationSummary) -> dict[str, Any]:
    values: dict[str, Any] = {
        "images": s.count,
        "log_likelihood": s.log_likelihood,
        "ceiling": s.ceiling,
        "grid_level": s.level,
        "median_deg": s.median_deg,
        "reduced_median_deg": s.reduced_median_deg,
        "top_median_deg": list(s.top_median_deg),
        "acc_15": s.acc15,
        "acc_30": s.acc30,
        "reduced_acc_15": s.reduced_acc15,
        "spread_deg": s.spread_deg,
        "precision_15": s.precision,
        "recall_15": s.recall,
    }
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def best_and_worst(score: RotationScore, count: int) -> Sequence[int]:
    """Indices of images to look at: spread evenly from the best log-likelihood to the worst."""
    order = sorted(range(len(score.judged)), key=lambda i: -score.judged[i].log_likelihood)
    if len(order) <= count:
        return order
    return [order[round(k * (len(order) - 1) / (count - 1))] for k in range(count)]
