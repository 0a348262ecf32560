"""How exact the poses from a map are: training photos that a second map has not seen, asked as new photos are.

Their own errors are what a new photo's will be. What the points' covariances leave out (features that several photos
see equally wrong, poses of the training photos that are not exact) is in them; nothing of it has to be modelled.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from resect.priors.landmarks.features import Features
from resect.priors.landmarks.prior import Landmarks
from resect.priors.landmarks.uncertainty import Excess, gap
from resect.types import PhotoSet

_LEVEL, _CHI2 = 0.9, 10.6446  # that share of squared Mahalanobis errors of six degrees of freedom is below this
_EVERY, _BLOCKS = 6, 4
_ASKED_APART, _ASKED_TOGETHER = 16, 8
_LEAST_ANSWERS = 5
_TYPICAL = 2.0  # where there are too few photos to measure on
_OUTLIER = 3.0  # a logarithm of squares farther off than this says nothing of the growth
_CHANCE = 6.635  # likelihood ratio that growth must exceed: χ² of one degree at 1 %


def measure(second: Callable[[Sequence[int]], Landmarks], features: Sequence[Features], data: PhotoSet) -> Excess:
    """By how much the 90 % ellipsoids must grow, in squares, to hold 90 % of new photos' poses.

    Args:
        second: the map without some photos.
        features: of each photo.
        data: the photos that the map is made of.
    """
    rows: list[tuple[float, float]] = []
    for left_out, asked in folds(len(data)):
        known = second(left_out)
        rows += [row for i in asked if (row := _error(known, features[i], data, i)) is not None]
    if len(rows) < _LEAST_ANSWERS:
        return Excess(_TYPICAL)
    return excess_of(*torch.tensor(rows, dtype=torch.float64).T)


def excess_of(gaps: Float[Tensor, "n"], squares: Float[Tensor, "n"]) -> Excess:
    """The growth that makes the logarithms of squared errors spread least, then the factor that covers 90 %."""
    rates = torch.cat([torch.zeros(1), torch.logspace(-1, 2, 31)]).to(gaps)
    logs = squares.clamp_min(1e-3).log() - (1 + rates[:, None] * gaps).log()
    off = (logs - logs.median(1, keepdim=True).values).abs().clamp_max(_OUTLIER)
    spread = off.square().mean(1)
    best = int(spread.argmin())
    surprise = len(gaps) * float((spread[0] / spread[best].clamp_min(1e-9)).log())
    growth = float(rates[best]) if surprise > _CHANCE else 0.0
    left = squares / (1 + growth * gaps)
    return Excess(float(left.quantile(_LEVEL)) / _CHI2, growth, float(gaps.max()))


def folds(count: int) -> list[tuple[list[int], list[int]]]:
    """Photos to leave out together, and those of them to ask: every sixth, whose neighbours stay, and quarters.

    New photos may lie between the others or beyond them. The quarters are in the order of the photos, which most
    captures have from the path that the camera took: the second has neighbours at both ends, the last at one. Where
    they are small all four are taken, so that enough photos are asked.
    """
    apart = list(range(_EVERY // 2, count, _EVERY))
    size = count // _BLOCKS
    which = range(_BLOCKS) if size < _ASKED_TOGETHER else (1, _BLOCKS - 1)
    together = [list(range(k * size, (k + 1) * size)) for k in which]
    pairs = [(apart, _some(apart, _ASKED_APART)), *((block, _some(block, _ASKED_TOGETHER)) for block in together)]
    return [(left_out, asked) for left_out, asked in pairs if asked]


def _some(photos: list[int], most: int) -> list[int]:
    """At most so many, evenly spread."""
    step = -(-len(photos) // most) if photos else 1
    return photos[step // 2 :: step]


def _error(known: Landmarks, features: Features, data: PhotoSet, index: int) -> tuple[float, float] | None:
    """The gap of one photo and the square of its error; `None` without an answer."""
    found = known.localize(data[index], features=features).hypotheses
    if len(found) == 0 or found.information is None:
        return None
    error = (data.truth.cam_from_world[index].double() @ found.cam_from_world[0].inverse()).log()
    return float(gap(found.cam_from_world[:1], known.training)), float(error @ found.information[0] @ error)
