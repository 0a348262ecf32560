"""Angles as bins of a circle: soft labels and their loss, peaks, the spread about them.

Bin k of n is centred on k·360°/n, so that the published 360 bins are whole degrees modulo 360.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


def to_bin(angle: Float[Tensor, "*n"], bins: int) -> Int[Tensor, "*n"]:
    """The bin that an angle in radians, of any number of turns, falls in."""
    return (angle.double() * (bins / (2 * math.pi))).round().long() % bins


def soft_labels(bins: int, sigma_deg: float, band_deg: float, normalize: bool) -> Float[Tensor, "m"]:
    """Weights e^(−|k|/σ) of the bins k = −b … b about the true one, in bins of 360°/`bins`."""
    width = 360 / bins
    reach = int(band_deg / width + 1e-9)
    weight = torch.exp(-torch.arange(-reach, reach + 1, dtype=torch.float64).abs() * width / sigma_deg)
    return (weight / weight.sum() if normalize else weight).float()


def soft_label_loss(
    scores: Float[Tensor, "b c k"], category: Int[Tensor, "b"], true_bin: Int[Tensor, "b"], weight: Float[Tensor, "m"]
) -> Tensor:
    """−Σ_j w_j log p[v + j], p the softmax over the K bins of the true category alone; mean over the batch.

    Where the weights are not normalised, as published, the gradient with respect to the scores is (Σw) p − w.
    """
    bins, reach = scores.shape[-1], len(weight) // 2
    log_p = scores[torch.arange(len(scores), device=scores.device), category].log_softmax(-1)
    offset = torch.arange(-reach, reach + 1, device=scores.device)
    return -(log_p.gather(1, (true_bin[:, None] + offset) % bins) * weight.to(scores)).sum(1).mean()


@dataclass(frozen=True, eq=False)
class Peaks:
    """K peaks of one angle, highest mass first.

    Attributes:
        angle: radians in [0, 2π).
        mass: probability of the bins that are nearer to it than to the other peaks.
        spread: standard deviation of the angle about it, radians; at least that of a bin.
    """

    angle: Float[Tensor, "k"]
    mass: Float[Tensor, "k"]
    spread: Float[Tensor, "k"]


def peaks(p: Float[Tensor, "n"], windows: int, apart_deg: float, between_deg: float = 0.0) -> Peaks:
    """The published candidates: the best bin of each window of the circle; of two within `apart_deg` the higher stays.

    The published windows leave out the last 8 of 360 bins, and distances there do not wrap; here there is no seam. A
    candidate has to be the highest within half of `apart_deg`, too.

    Args:
        p: probabilities of the bins.
        windows: how many parts the circle is cut into; 1 gives the highest bin alone.
        apart_deg: least distance of two peaks.
        between_deg: the angle is the mean over the bins this near to the peak; 0 leaves it at the peak's bin.
    """
    bins = len(p)
    parts = torch.arange(bins, device=p.device).tensor_split(windows)
    best = torch.stack([part[p[part].argmax()] for part in parts])
    around = _offsets(best, bins).abs() * 360 / bins <= apart_deg / 2
    best = best[p[best] >= (around * p).amax(1)]  # else it is the slope of another peak, whose mass it would take
    kept: list[int] = []
    for k in best[p[best].argsort(descending=True, stable=True)].tolist():
        if all(min((k - j) % bins, (j - k) % bins) * 360 / bins > apart_deg for j in kept):
            kept.append(k)
    offset = _offsets(torch.tensor(kept, device=p.device), bins)  # (k, n), signed, in bins
    nearest = offset.abs().argmin(0)
    own = torch.nn.functional.one_hot(nearest, len(kept)).mT * p
    close = own * (offset.abs() * 360 / bins <= max(apart_deg, 360 / bins)) + 1e-30
    variance = (close * offset.square()).sum(1) / close.sum(1) + 1 / 12
    core = own * (offset.abs() * 360 / bins <= between_deg) + 1e-30 * (offset == 0)
    position = torch.tensor(kept, device=p.device) + (core * offset).sum(1) / core.sum(1)
    order = own.sum(1).argsort(descending=True, stable=True)
    turn = 2 * math.pi / bins
    return Peaks((position * turn % (2 * math.pi))[order], own.sum(1)[order], variance.sqrt()[order] * turn)


def _offsets(at: Int[Tensor, "k"], bins: int) -> Float[Tensor, "k n"]:
    """From each place to each bin, the shorter way around."""
    away = torch.arange(bins, device=at.device) - at[:, None]
    return ((away + bins // 2) % bins - bins // 2).double()
