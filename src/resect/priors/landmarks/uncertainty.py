"""How exact a pose from landmarks is: what its residuals say, and what only left-out photos can say.

Two things make the covariance of plain least squares too small. Errors of neighbouring points go together (the same
training photos, the same part of the lens), so that many points in one corner are not many opinions; the residuals of
a photo show that (`shared`). And a map bends: the poses of training photos drift along the path of the camera, so a
photo far from all of them lies off by more than its residuals show. That is measured (`Excess`, `calibrate`).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.look_at import nearest_point_to_axes
from resect.geometry.se3 import SE3
from resect.priors.landmarks.resection import Seen, Solution, weighed_rows

_CELLS = 4  # a side
_TURN = math.radians(40.0)
_SHIFT = 0.5  # of the reach


@dataclass(frozen=True)
class Excess:
    """By how much squared errors of new photos' poses exceed the covariance that their residuals give.

    A drifting path is a random walk, whose variance grows with the distance: factor × (1 + growth × gap), at least 1.

    Attributes:
        factor: of photos that stand where training photos do; above 0.
        growth: per unit of the gap to the nearest training photo, see `view_distance`; at least 0.
        farthest: gaps beyond this were not measured and count as this.
    """

    factor: float = 1.0
    growth: float = 0.0
    farthest: float = 0.0

    @property
    def valid(self) -> bool:
        """Whether the numbers can be those of a measurement."""
        numbers = (self.factor, self.growth, self.farthest)
        return all(math.isfinite(x) and x >= 0 for x in numbers) and self.factor > 0

    def at(self, gap: Float[Tensor, "h"]) -> Float[Tensor, "h"]:
        """The factor of each gap."""
        return (self.factor * (1 + self.growth * gap.clamp_max(self.farthest))).clamp_min(1.0)


def shared(seen: Seen, solution: Solution) -> Float[Tensor, "6 6"]:
    """Covariance of δ when all errors within a cell of 4 × 4 over the photo go together.

    The "sandwich" H⁻¹ (Σ s sᵀ) H⁻¹ over the cells' gradients s (Liang & Zeger 1986, with the factor n / (n − 1)). With
    independent errors it repeats what least squares says, up to the noise of sixteen terms.
    """
    r, j, weight = weighed_rows(seen, solution)
    pull = (weight[:, None, None] * j * r[:, :, None]).sum(1)
    normal = (weight[:, None, None] * j).flatten(0, 1).mT @ j.flatten(0, 1)
    size = torch.tensor([solution.camera.width, solution.camera.height], dtype=seen.pixels.dtype)
    column, row = (seen.pixels / size * _CELLS).long().clamp(0, _CELLS - 1).unbind(-1)
    cell = row * _CELLS + column
    pulls = torch.zeros(_CELLS**2, 6, dtype=pull.dtype).index_add_(0, cell, pull)
    used = len(cell.unique())
    half = torch.linalg.solve(normal + 1e-12 * normal.diagonal().diag(), pulls.mT)
    return used / max(1, used - 1) * half @ half.mT


def reach_of(cameras: SE3) -> float:
    """Mean distance of cameras to the point they look at, world units."""
    centers = cameras.center
    return max(1e-12, float((centers - nearest_point_to_axes(centers, cameras.axis)).norm(dim=-1).mean()))


def view_distance(a: SE3, b: SE3, reach: float) -> Float[Tensor, "n m"]:
    """How far apart two cameras see: the angle between their axes over 40°, plus their distance over half the reach."""
    axes_a, axes_b = torch.broadcast_tensors(a.axis[:, None], b.axis[None])
    angle = torch.atan2(torch.linalg.cross(axes_a, axes_b).norm(dim=-1), (axes_a * axes_b).sum(-1))
    return angle / _TURN + torch.cdist(a.center, b.center) / (_SHIFT * reach)


def gap(cam_from_world: SE3, training: SE3) -> Float[Tensor, "h"]:
    """Distance of each camera to the nearest of the training photos."""
    return view_distance(cam_from_world, training, reach_of(training)).amin(1)
