"""Peaks of a density over SO(3), with the probability around each."""

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry import so3, so3_grid

if TYPE_CHECKING:
    from resect.geometry.rotation_density import RotationDensity

_MOST_CELLS = 20_000  # the densest ones; a density that needs more has no peaks worth the name
_DEEP = 16.0  # log of how much less dense than the densest a cell may be to count for any peak


@dataclass(frozen=True, eq=False)
class RotationModes:
    """K peaks, most probable first.

    Attributes:
        rotation: mean rotation near each peak, float64.
        mass: probability of the cells that are nearest to it and near enough.
        covariance: of ω in exp(ω) @ rotation over those cells, radians².
    """

    rotation: Float[Tensor, "k 3 3"]
    mass: Float[Tensor, "k"]
    covariance: Float[Tensor, "k 3 3"]

    def __len__(self) -> int:
        return len(self.mass)


def find_modes(density: "RotationDensity", count: int, radius_deg: float, least: float) -> RotationModes:
    """See `RotationDensity.modes`. A peak is a cell no less dense than all that touch it; of peaks within the radius
    of a denser one only that one is kept.
    """
    value, index = density.log_density.topk(min(_MOST_CELLS, len(density.cell)))
    index = index[value >= value[0] - _DEEP]
    center, level, value = density.centers(index), density.level[index], density.log_density[index]
    peak = torch.zeros(len(index), dtype=torch.bool, device=index.device)
    peak[_local_maxima(density, center, level, value)] = True
    closest = 1 + 2 * math.cos(math.radians(radius_deg))  # trace of a turn by the radius
    flat = center.flatten(1)
    peaks: list[int] = []
    while len(peaks) < count and bool(peak.any()):
        peaks.append(int(peak.int().argmax()))  # the densest that is left: they are in order
        peak &= flat @ flat[peaks[-1]] < closest
    trace, nearest = (flat @ flat[peaks].mT).max(-1)
    inside = trace >= closest
    spacing = so3_grid.spacing_rad(0) / 2.0 ** level.double()
    weight = density.mass[index]
    return _moments(flat[peaks].view(-1, 3, 3), center[inside], nearest[inside], weight[inside], spacing[inside], least)


def _local_maxima(
    density: "RotationDensity", center: Float[Tensor, "n 3 3"], level: Int[Tensor, "n"], value: Float[Tensor, "n"]
) -> Int[Tensor, "k"]:
    """Which cells are no less dense than the 26 that touch them; a pair of those at a time, as most drop out early."""
    left = torch.arange(len(center), device=center.device)
    half = [step for step in product((0, 1, -1), repeat=3) if step > (0, 0, 0)]
    for step in torch.tensor(half, dtype=torch.float64, device=center.device):
        turn = so3.exp(step * (so3_grid.spacing_rad(0) / 2.0 ** level[left].double())[:, None])
        around = center[left, None] @ torch.stack([turn, turn.mT], 1)
        left = left[(density.log_prob(around) <= value[left, None]).all(-1)]
    return left


def _moments(
    peak: Float[Tensor, "k 3 3"],
    center: Float[Tensor, "n 3 3"],
    nearest: Int[Tensor, "n"],
    weight: Float[Tensor, "n"],
    spacing: Float[Tensor, "n"],
    least: float,
) -> RotationModes:
    """Mean and covariance of the cells of each peak in its tangent space; a cell's own extent counts too."""
    total = weight.new_zeros(len(peak)).index_add_(0, nearest, weight)
    keep = (total >= least * total.max()).nonzero()[:, 0]
    keep = keep[total[keep].argsort(descending=True, stable=True)]
    part = weight / total[nearest]
    omega = so3.log(center @ peak[nearest].mT)
    mean = torch.zeros(len(peak), 3, dtype=omega.dtype, device=omega.device)
    mean.index_add_(0, nearest, part[:, None] * omega)
    moved = so3.exp(mean) @ peak
    omega = so3.log(center @ moved[nearest].mT)
    own = (spacing.square() / 12)[:, None, None] * torch.eye(3, dtype=omega.dtype, device=omega.device)
    second = part[:, None, None] * (omega[:, :, None] * omega[:, None, :] + own)
    covariance = torch.zeros_like(peak).index_add_(0, nearest, second)
    return RotationModes(moved[keep], total[keep], covariance[keep])
