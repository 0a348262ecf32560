"""Closed-form alignment of point sets and of rotations."""

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.sim3 import Sim3


def umeyama(source: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"], *, with_scale: bool = True) -> Sim3:
    """The similarity `target_from_source` with least squared distance between corresponding points.

    Reference: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991,
    eq. 40–43. With fewer than three points, or points on a line, the rotation is one of several that fit.
    """
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = source - mean_s, target - mean_t
    covariance = t.mT @ s / len(source)
    rotation = so3.nearest_rotation(covariance)
    variance = (s * s).sum() / len(source)
    gain = (rotation * covariance).sum() / variance.clamp_min(torch.finfo(s.dtype).tiny)
    scale = gain if with_scale else torch.ones_like(gain)
    return Sim3(scale, rotation, mean_t - scale * (rotation @ mean_s))


def mean_rotation(rotations: Float[Tensor, "n 3 3"], weights: Float[Tensor, "n"] | None = None) -> Float[Tensor, "3 3"]:
    """The chordal mean: the rotation nearest to the weighted arithmetic mean of the matrices."""
    w = torch.ones_like(rotations[:, 0, 0]) if weights is None else weights
    return so3.nearest_rotation((w[:, None, None] * rotations).sum(0) / w.sum())
