"""Viewpoint metrics of PASCAL3D+: average viewpoint precision, accuracy within an angle, median error.

References: Xiang et al., "Beyond PASCAL", WACV 2014 (AVP); Tulsiani and Malik, "Viewpoints and keypoints", CVPR 2015
(accuracy at π/6, median error). Angles are true geodesics: ‖log(RᵀR̂)‖ of the matrix is √2 of them in the Frobenius
norm, and published scripts that divide its *spectral* norm by √2 print errors too small by √2.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry import so3
from resect.metrics.pose import median

AVP_BINS = (4, 8, 16, 24)


@dataclass(frozen=True)
class ViewpointScore:
    """Accuracy of rotations.

    Attributes:
        acc_30: share of errors below 30°.
        acc_15: share of errors below 15°.
        median_deg: the middle error, degrees.
    """

    acc_30: float
    acc_15: float
    median_deg: float


def viewpoint_score(estimate: Float[Tensor, "n 3 3"], truth: Float[Tensor, "n 3 3"]) -> ViewpointScore:
    """Acc@30°, Acc@15° and median error; a rotation that is not finite counts as infinitely wrong."""
    error = torch.rad2deg(so3.angle(estimate.double(), truth.double())).nan_to_num(math.inf, math.inf)
    inside = [float((error < limit).double().mean()) if len(error) else 0.0 for limit in (30.0, 15.0)]
    return ViewpointScore(inside[0], inside[1], median(error))


def same_azimuth_bin(a_rad: Float[Tensor, "n"], b_rad: Float[Tensor, "n"], bins: int) -> Bool[Tensor, "n"]:
    """Whether two azimuths fall in the same of `bins` equal bins, the first of which is centred on 0."""
    width = 2 * math.pi / bins
    first, second = (((x.double() + width / 2) / width).floor().long() % bins for x in (a_rad, b_rad))
    return first == second


def average_viewpoint_precision(
    score: Float[Tensor, "n"],
    detected: Bool[Tensor, "n"],
    azimuth_rad: Float[Tensor, "n"],
    true_azimuth_rad: Float[Tensor, "n"],
    objects: int,
    bins: int,
) -> float:
    """AVP: average precision in which a detection counts when its box is right and its azimuth is in the right bin.

    Args:
        score: confidence of N detections.
        detected: whether each overlaps, with IoU above 0.5, an object that no better detection has.
        azimuth_rad: of the detections.
        true_azimuth_rad: of the objects that they overlap; anything where `detected` is false.
        objects: number of objects to be found.
        bins: 4, 8, 16 or 24.
    """
    right = detected & same_azimuth_bin(azimuth_rad, true_azimuth_rad, bins)
    return average_precision(score, right, objects)


def average_precision(score: Float[Tensor, "n"], right: Bool[Tensor, "n"], objects: int) -> float:
    """Area under precision against recall, precision made monotone (PASCAL VOC from 2010 on)."""
    if objects == 0 or len(score) == 0:
        return 0.0
    hits = right[score.argsort(descending=True, stable=True)].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1, dtype=torch.float64, device=hits.device)
    best_after = precision.flip(0).cummax(0).values.flip(0)
    return float((best_after * hits).sum() / objects)
