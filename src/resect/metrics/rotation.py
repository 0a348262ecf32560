"""How good a density over SO(3) is: likelihood, spread, accuracy, coverage of all equivalents, calibration.

Log-likelihoods are in the field's measure, of total π² (uniform: −2.2895), and always come with the grid's level and
the ceiling: no density that is constant on cells can do better on these truths. Published code looks a truth up in the
cell with the nearest middle, this one in the cell that holds it; on a cone that lowers the ceiling by 0.1 at level 3.
Medians and accuracies are taken a class at a time and then averaged over classes, as published.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3, so3_grid
from resect.geometry.rotation_density import RotationDensity
from resect.metrics.calibration import LEVELS, Share, wilson
from resect.metrics.pose import median

NEAR_DEG = 15.0
"""Precision and recall count what lies within this angle."""
TOP = 4
"""Errors are also given for the best of the first 2 … 4 modes: an object whose symmetries are not labelled."""


@dataclass(frozen=True)
class JudgedRotation:
    """One image's density against the truth.

    Attributes:
        category: its class.
        error_deg: from the densest rotation to the labelled one; infinite if there was no answer.
        reduced_deg: to the nearest equivalent rotation.
        top_deg: to the labelled rotation from the best of the first k modes, k = 1 … 4.
        log_likelihood: mean over the equivalents, π² measure.
        ceiling: the greatest it could be at this level.
        level: the grid's finest.
        spread_deg: mean angle to the nearest equivalent.
        region: probability of what is denser than the labelled rotation, and of what is as dense or denser.
        precision: probability within 15° of some equivalent; see `precision_recall`.
        recall: share of the equivalents with their due within 15°.
    """

    category: str
    error_deg: float
    reduced_deg: float
    top_deg: tuple[float, ...]
    log_likelihood: float
    ceiling: float
    level: int
    spread_deg: float
    region: tuple[float, float]
    precision: float
    recall: float


def judge(
    density: RotationDensity,
    label: Float[Tensor, "3 3"],
    equivalents: Float[Tensor, "s 3 3"] | None = None,
    category: str = "",
    *,
    ideal: float | None = None,
) -> JudgedRotation:
    """Compares a density with the truth.

    Args:
        density: the answer.
        label: the labelled rotation, `cam_from_obj`.
        equivalents: all rotations that look the same, the labelled one included: label @ S. `None`: only the label.
        category: its class.
        ideal: the ceiling, where the equivalents only stand for a continuum.
    """
    truths = label[None] if equivalents is None else equivalents
    truths, label = (r.double().to(density.cell.device) for r in (truths, label))
    modes = density.modes(TOP, least=0.0).rotation
    to_label = so3.angle(modes, label.expand_as(modes)).rad2deg().cummin(0).values.tolist()
    best = density.best()
    low, high = density.region_mass(label)
    precision, recall = precision_recall(density, truths, NEAR_DEG)
    return JudgedRotation(
        category=category,
        error_deg=math.degrees(float(so3.angle(best, label))),
        reduced_deg=float(reduced_error_deg(best, truths)),
        top_deg=tuple(to_label + to_label[-1:] * (TOP - len(to_label))),
        log_likelihood=float(log_likelihood(density, truths)),
        ceiling=float(ceiling(truths, density.deepest)) if ideal is None else ideal,
        level=density.deepest,
        spread_deg=math.degrees(float(density.spread(truths))),
        region=(float(low), float(high)),
        precision=precision,
        recall=recall,
    )


def log_likelihood(density: RotationDensity, truths: Float[Tensor, "s 3 3"]) -> Float[Tensor, ""]:
    """Mean log-density at rotations, in nats, π² measure."""
    return density.log_prob(truths).double().mean() - so3_grid.LOG_PI2


def ceiling(truths: Float[Tensor, "s 3 3"], level: int) -> Float[Tensor, ""]:
    """The greatest log-likelihood, π² measure, that a density constant on a level's cells can have.

    It gives each cell the share f of the truths that lie there: log(N / π²) − H(f).
    """
    share = so3_grid.cell_of(truths, level).unique(return_counts=True)[1].double() / len(truths)
    return math.log(so3_grid.cell_count(level)) - so3_grid.LOG_PI2 + (share * share.log()).sum()


def reduced_error_deg(estimate: Float[Tensor, "*b 3 3"], truths: Float[Tensor, "s 3 3"]) -> Float[Tensor, "*b"]:
    """Angle to the nearest of the equivalent rotations, degrees."""
    trace = estimate.flatten(-2).double() @ truths.to(estimate.device).double().flatten(1).mT
    return (2 * ((3 - trace.amax(-1)).clamp(0, 4).sqrt() / 2).asin()).rad2deg()


def precision_recall(
    density: RotationDensity, truths: Float[Tensor, "s 3 3"], angle_deg: float, *, chunk: int = 1 << 22
) -> tuple[float, float]:
    """Probability that lies near some equivalent, and the share of equivalents with enough of it near them.

    Args:
        density: the answer.
        truths: s equivalent rotations.
        angle_deg: what is near.
        chunk: at most so many pairs of a cell and a truth at a time.

    Returns:
        Precision: mass within the angle of any truth. Recall: share of truths with at least half the mass within the
        angle that they would have if all truths had the same: 1 / (2 s) where truths lie apart.
    """
    flat = truths.to(density.cell.device).double().flatten(1)
    least = 1 + 2 * math.cos(math.radians(angle_deg))
    precision, each = density.mass.new_zeros(()), density.mass.new_zeros(len(flat))
    index, mass_of = density.heaviest(1e-6)
    size = max(1, chunk // len(flat))
    for part, mass in zip(index.split(size), mass_of.split(size), strict=True):
        near = density.centers(part).flatten(1) @ flat.mT >= least
        precision, each = precision + mass[near.any(-1)].sum(), each + mass @ near.double()
    due = (flat @ flat.mT >= least).double().mean(-1)
    return float(precision.clamp_max(1)), float((each >= 0.5 * due).double().mean())


@dataclass(frozen=True)
class RotationSummary:
    """What the images of a class, or the classes of a set, amount to.

    Attributes:
        count: images.
        median_deg: middle error to the labelled rotation.
        reduced_median_deg: middle error to the nearest equivalent.
        top_median_deg: middle error of the best of the first k modes, k = 1 … 4.
        acc15: share of images with an error of at most 15°.
        acc30: share with at most 30°.
        reduced_acc15: the same for the nearest equivalent.
        log_likelihood: mean, π² measure.
        ceiling: mean of what it could be.
        level: the grid's finest.
        spread_deg: mean.
        precision: mean probability within 15° of some equivalent.
        recall: mean share of the equivalents with their due within 15°.
    """

    count: int
    median_deg: float
    reduced_median_deg: float
    top_median_deg: tuple[float, ...]
    acc15: float
    acc30: float
    reduced_acc15: float
    log_likelihood: float
    ceiling: float
    level: int
    spread_deg: float
    precision: float
    recall: float


@dataclass(frozen=True)
class RotationReport:
    """Figures of a set.

    Attributes:
        classes: by name, in alphabetical order.
        over_classes: mean over classes; medians are means of medians, as published.
        over_images: over all images alike.
        calibration: claimed probability of the smallest region → share of labels in it.
    """

    classes: tuple[tuple[str, RotationSummary], ...]
    over_classes: RotationSummary
    over_images: RotationSummary
    calibration: tuple[tuple[float, Share], ...]


def summarize(judged: Sequence[JudgedRotation]) -> RotationReport:
    """Figures a class, their mean, and over all images; every image counts."""
    names = sorted({one.category for one in judged})
    classes = tuple((name, _summary([one for one in judged if one.category == name])) for name in names)
    return RotationReport(classes, _mean([s for _, s in classes]), _summary(judged), reliability(judged))


def reliability(
    judged: Sequence[JudgedRotation], levels: tuple[float, ...] = LEVELS
) -> tuple[tuple[float, Share], ...]:
    """How many labels lie in the smallest region that should hold a share of them; the diagonal is calibrated.

    A label whose cell is only partly needed to fill the region counts for that part.
    """
    low, high = torch.tensor([one.region for one in judged], dtype=torch.float64).view(-1, 2).unbind(-1)
    width = (high - low).clamp_min(1e-12)
    found = [((level - low) / width).clamp(0, 1).sum() for level in levels]
    return tuple((level, wilson(round(float(n)), len(low))) for level, n in zip(levels, found, strict=True))


def _summary(judged: Sequence[JudgedRotation]) -> RotationSummary:
    def column(name: str) -> Tensor:
        return torch.tensor([getattr(one, name) for one in judged], dtype=torch.float64)

    error, reduced = column("error_deg"), column("reduced_deg")
    top = torch.tensor([one.top_deg for one in judged], dtype=torch.float64).view(-1, TOP)
    return RotationSummary(
        count=len(judged),
        median_deg=median(error),
        reduced_median_deg=median(reduced),
        top_median_deg=tuple(median(top[:, k]) for k in range(TOP)),
        acc15=float((error <= 15).double().mean()),
        acc30=float((error <= 30).double().mean()),
        reduced_acc15=float((reduced <= 15).double().mean()),
        log_likelihood=float(column("log_likelihood").mean()),
        ceiling=float(column("ceiling").mean()),
        level=max((one.level for one in judged), default=0),
        spread_deg=float(column("spread_deg").mean()),
        precision=float(column("precision").mean()),
        recall=float(column("recall").mean()),
    )


def _mean(parts: Sequence[RotationSummary]) -> RotationSummary:
    def mean(name: str) -> float:
        return sum(getattr(part, name) for part in parts) / len(parts) if parts else math.nan

    return RotationSummary(
        count=sum(part.count for part in parts),
        median_deg=mean("median_deg"),
        reduced_median_deg=mean("reduced_median_deg"),
        top_median_deg=tuple(sum(p.top_median_deg[k] for p in parts) / max(1, len(parts)) for k in range(TOP)),
        acc15=mean("acc15"),
        acc30=mean("acc30"),
        reduced_acc15=mean("reduced_acc15"),
        log_likelihood=mean("log_likelihood"),
        ceiling=mean("ceiling"),
        level=max((part.level for part in parts), default=0),
        spread_deg=mean("spread_deg"),
        precision=mean("precision"),
        recall=mean("recall"),
    )
