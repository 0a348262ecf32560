"""Viewpoints against true ones, a row a category: accuracy within 30°, median error, AVP; and their means.

As for the 12 categories of PASCAL3D+ with true boxes: every object is found, so that average viewpoint precision tells
how well confidence ranks right azimuths. An image without an answer counts as infinitely wrong, and as not found.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.view_list import ViewList, wrapped, write_views
from resect.errors import ResectError
from resect.metrics.pose import median
from resect.metrics.viewpoint import AVP_BINS, average_viewpoint_precision, viewpoint_score
from resect.priors.upright import viewpoint_rotation
from resect.priors.viewpoint.prior import Viewpoint


@dataclass(frozen=True, eq=False)
class Viewpoints:
    """Answers to the N images of a list; rows of NaN have none.

    Attributes:
        viewpoint: azimuth, elevation, tilt in radians.
        confidence: higher is surer.
    """

    viewpoint: Float[Tensor, "n 3"]
    confidence: Float[Tensor, "n"]


@dataclass(frozen=True)
class CategoryScore:
    """Of one category, or the mean over several.

    Attributes:
        images: how many.
        missing: those without an answer.
        acc_30: share of rotations within 30°.
        median_deg: the middle error of the rotation, degrees.
        azimuth_deg: that of the azimuth, the shorter way around, and
        elevation_deg: of the elevation.
        avp: bins → average viewpoint precision.
    """

    images: int
    missing: int
    acc_30: float
    median_deg: float
    azimuth_deg: float
    elevation_deg: float
    avp: dict[int, float]

    def as_json(self) -> dict[str, Any]:
        """One flat object; an infinite median is null."""
        medians = {
            "median_deg": self.median_deg,
            "median_azimuth_deg": self.azimuth_deg,
            "median_elevation_deg": self.elevation_deg,
        }
        finite = {key: value if math.isfinite(value) else None for key, value in medians.items()}
        facts = {"images": self.images, "missing": self.missing, "acc_30": self.acc_30, **finite}
        return {**facts, **{f"avp_{bins}": value for bins, value in self.avp.items()}}


@dataclass(frozen=True)
class ViewpointReport:
    """Score of each category, and their mean."""

    categories: dict[str, CategoryScore]
    mean: CategoryScore

    def as_json(self) -> dict[str, Any]:
        """What `resect score --json` prints."""
        return {**self.mean.as_json(), "categories": {k: v.as_json() for k, v in self.categories.items()}}

    def text(self) -> str:
        """A table."""
        width = max(8, *map(len, self.categories)) + 2
        head = f"{'':<{width}}{'images':>7}{'acc@30':>8}{'median':>8}" + "".join(f"{f'AVP-{b}':>8}" for b in AVP_BINS)
        rows = (
            [*self.categories.items(), ("mean", self.mean)]
            if len(self.categories) > 1
            else list(self.categories.items())
        )
        lines = [head]
        for name, s in rows:
            avp = "".join(f"{s.avp[b]:>8.3f}" for b in AVP_BINS)
            lines.append(f"{name:<{width}}{s.images:>7}{s.acc_30:>8.3f}{s.median_deg:>7.1f}°{avp}")
        return "\n".join(lines)


def answers_of(
    prior: Viewpoint, truth: ViewList, progress: Callable[[int, int, str], None] | None = None
) -> Viewpoints:
    """What a network says of each image; it is shown the crop and the category, nothing else."""
    found, sure = torch.full((len(truth), 3), torch.nan, dtype=torch.float64), torch.zeros(len(truth))
    for i, name in enumerate(truth.names):
        found[i], sure[i] = prior.viewpoint(truth.photo(i))
        if progress is not None:
            progress(i + 1, len(truth), name)
    return Viewpoints(found, sure)


def answers_in(given: ViewList, truth: ViewList) -> Viewpoints:
    """The answers of a list to the images of another, by their names."""
    row = {name: i for i, name in enumerate(given.names)}
    known = [i for i, name in enumerate(truth.names) if name in row]
    if not known:
        raise ResectError("views", f"images as in the truth, e.g. '{truth.names[0]}'", f"'{given.names[0]}'")
    found, sure = torch.full((len(truth), 3), torch.nan, dtype=torch.float64), torch.zeros(len(truth))
    rows = [row[truth.names[i]] for i in known]
    found[known], sure[known] = given.viewpoint[rows], given.confidence[rows].float()
    return Viewpoints(found, sure)


def write_answers(answers: Viewpoints, truth: ViewList, path: Path) -> None:
    """Writes answers as a list of views with confidences; distances are not estimated and written as 1."""
    there = answers.viewpoint.isfinite().all(-1).nonzero()[:, 0].tolist()
    further = torch.stack([torch.ones(len(there)), answers.confidence[there]], -1)
    models, names = ([of[i] for i in there] for of in (truth.models, truth.names))
    write_views(path, models, names, answers.viewpoint[there], further)


def score_viewpoints(answers: Viewpoints, truth: ViewList) -> ViewpointReport:
    """Scores each category apart; the mean counts categories alike."""
    of = truth.categories
    found: dict[str, CategoryScore] = {}
    for name in sorted(set(of)):
        rows = [i for i, category in enumerate(of) if category == name]
        found[name] = _score(answers.viewpoint[rows], answers.confidence[rows], truth.viewpoint[rows])
    parts, count = list(found.values()), len(found)
    mean = CategoryScore(
        sum(p.images for p in parts),
        sum(p.missing for p in parts),
        sum(p.acc_30 for p in parts) / count,
        sum(p.median_deg for p in parts) / count,
        sum(p.azimuth_deg for p in parts) / count,
        sum(p.elevation_deg for p in parts) / count,
        {b: sum(p.avp[b] for p in parts) / count for b in AVP_BINS},
    )
    return ViewpointReport(found, mean)


def _score(found: Float[Tensor, "n 3"], sure: Float[Tensor, "n"], true: Float[Tensor, "n 3"]) -> CategoryScore:
    there = found.isfinite().all(-1)
    rotation = torch.full((len(found), 3, 3), torch.nan, dtype=torch.float64)
    rotation[there] = viewpoint_rotation(found[there])
    of_all = viewpoint_score(rotation, viewpoint_rotation(true))
    n, detected = len(found), torch.ones(int(there.sum()), dtype=torch.bool)
    avp = {
        bins: average_viewpoint_precision(sure[there], detected, found[there, 0], true[there, 0], n, bins)
        for bins in AVP_BINS
    }
    off = wrapped(found - true).abs().rad2deg().nan_to_num(math.inf)
    medians = (of_all.median_deg, median(off[:, 0]), median(off[:, 1]))
    return CategoryScore(n, n - len(detected), of_all.acc_30, *medians, avp)
