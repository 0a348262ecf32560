"""Peaks of a density over SO(3), with the probability around each."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry import so3, so3_grid

_MOST_CELLS = 50_000  # the densest ones; a density that needs more has no peaks worth the name


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


def find_modes(
    cell: Int[Tensor, "n"],
    level: Int[Tensor, "n"],
    log_density: Float[Tensor, "n"],
    mass: Float[Tensor, "n"],
    count: int,
    radius_deg: float,
    least: float,
) -> RotationModes:
    """See `RotationDensity.modes`: peaks are taken from the densest cell on, each hiding what is within the radius."""
    index = log_density.topk(min(_MOST_CELLS, len(log_density))).indices
    center, weight = so3_grid.cell_center(cell[index], level[index]), mass[index]
    closest = 1 + 2 * math.cos(math.radians(radius_deg))  # trace of a turn by the radius
    flat = center.flatten(1)
    peaks: list[int] = []
    left = torch.ones(len(index), dtype=torch.bool, device=index.device)
    while len(peaks) < count and bool(left.any()):
        peaks.append(int(left.int().argmax()))  # the densest that is left: they are in order
        left &= flat @ flat[peaks[-1]] < closest
    trace, nearest = (flat @ flat[peaks].mT).max(-1)
    inside = trace >= closest
    weight, center, nearest = weight[inside], center[inside], nearest[inside]
    total = weight.new_zeros(len(peaks)).index_add_(0, nearest, weight)
    size = torch.stack([torch.full_like(weight, so3_grid.spacing_rad(0)), 2.0 ** level[index][inside].double()], -1)
    return _moments(flat[peaks].view(-1, 3, 3), center, nearest, weight, total, size[:, 0] / size[:, 1], least)


def _moments(
    peak: Float[Tensor, "k 3 3"],
    center: Float[Tensor, "n 3 3"],
    nearest: Int[Tensor, "n"],
    weight: Float[Tensor, "n"],
    total: Float[Tensor, "k"],
    spacing: Float[Tensor, "n"],
    least: float,
) -> RotationModes:
    """Mean and covariance of the cells of each peak in its tangent space; a cell's own extent counts too."""
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
