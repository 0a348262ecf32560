"""Points from rays: all tracks at once, robust least squares on the sphere of directions.

Residuals live on the tangent plane of the observed ray b: r = Bᵀ p/|p| / (angle of a pixel), p the point in the camera
frame, B two unit vectors across b. That is the reprojection error in pixels at the image centre, for any lens.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3

_STEPS = 8


@dataclass(frozen=True, eq=False)
class Observations:
    """Rays towards points, one row an observation.

    Attributes:
        track: which point each row sees.
        photo: which camera each row is of.
        ray: unit direction in the camera frame.
        pixel_rad: angle of a pixel, radians.
        cam_from_world: of each row.
    """

    track: Int[Tensor, "n"]
    photo: Int[Tensor, "n"]
    ray: Float[Tensor, "n 3"]
    pixel_rad: Float[Tensor, "n"]
    cam_from_world: SE3

    def __len__(self) -> int:
        return len(self.track)

    def take(self, keep: Bool[Tensor, "n"] | Int[Tensor, "m"]) -> "Observations":
        """These rows; the tracks keep their numbers."""
        return Observations(
            self.track[keep], self.photo[keep], self.ray[keep], self.pixel_rad[keep], self.cam_from_world[keep]
        )


def across(ray: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 2"]:
    """Two unit vectors at right angles to each unit ray and to each other."""
    helper = torch.zeros_like(ray)
    helper.scatter_(1, ray.abs().argmin(1, keepdim=True), 1.0)
    first = torch.nn.functional.normalize(torch.linalg.cross(ray, helper), dim=-1)
    return torch.stack([first, torch.linalg.cross(ray, first)], -1)


def residuals(
    seen: Observations, points: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2 3"], Bool[Tensor, "n"]]:
    """Of each row with its point: residual in pixels, its derivative by the point, and whether the point lies ahead."""
    p = (seen.cam_from_world.R @ points[:, :, None])[..., 0] + seen.cam_from_world.t
    length = p.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    unit = p / length
    plane = across(seen.ray).mT / seen.pixel_rad[:, None, None]
    r = (plane @ unit[:, :, None])[..., 0]
    sideways = plane - r[:, :, None] * unit[:, None, :]
    return r, (sideways @ seen.cam_from_world.R) / length[:, :, None], (unit * seen.ray).sum(-1) > 0


def triangulate(seen: Observations, count: int, *, robust_px: float) -> Float[Tensor, "t 3"]:
    """The `count` points that explain the rays best: nearest to the lines, then Gauss–Newton with a Cauchy kernel.

    The kernel tightens from 16 × to 1 × `robust_px`, so a wrong observation loses its pull gradually. A track without
    observations, or with parallel rays only, gets a finite point that means nothing; check angles and errors.
    """
    direction = (seen.cam_from_world.R.mT @ seen.ray[:, :, None])[..., 0]
    projector = torch.eye(3, dtype=direction.dtype) - direction[:, :, None] * direction[:, None, :]
    right = (projector @ seen.cam_from_world.center[:, :, None])[..., 0]
    points = _solve(_sum(projector, seen.track, count), _sum(right, seen.track, count))
    for step in range(_STEPS):
        kernel = robust_px * max(1.0, 2.0 ** (4 - step))
        r, j, _ = residuals(seen, points[seen.track])
        weight = 1 / (1 + (r * r).sum(-1) / kernel**2)
        normal = _sum(weight[:, None, None] * (j.mT @ j), seen.track, count)
        gradient = _sum(weight[:, None] * (j.mT @ r[:, :, None])[..., 0], seen.track, count)
        points = points - _solve(normal, gradient)
    return points


def covariance(seen: Observations, points: Float[Tensor, "t 3"], sigma_px: float) -> Float[Tensor, "t 3 3"]:
    """Of each point, for independent errors of `sigma_px` in every observation."""
    _, j, _ = residuals(seen, points[seen.track])
    normal = _sum(j.mT @ j, seen.track, len(points)) / sigma_px**2
    return torch.linalg.inv(_damped(normal))


def widest_angle(seen: Observations, points: Float[Tensor, "t 3"]) -> Float[Tensor, "t"]:
    """Twice the greatest angle of a point's rays from their mean direction, radians; at least the angle between two."""
    away = torch.nn.functional.normalize(points[seen.track] - seen.cam_from_world.center, dim=-1)
    mean = torch.nn.functional.normalize(_sum(away, seen.track, len(points)), dim=-1)[seen.track]
    angle = 2 * torch.atan2(torch.linalg.cross(away, mean).norm(dim=-1), (away * mean).sum(-1))
    return torch.zeros(len(points), dtype=angle.dtype).scatter_reduce_(0, seen.track, angle, "amax")


def _sum(values: Tensor, index: Int[Tensor, "n"], count: int) -> Tensor:
    return torch.zeros(count, *values.shape[1:], dtype=values.dtype).index_add_(0, index, values)


def _damped(matrix: Float[Tensor, "t 3 3"]) -> Float[Tensor, "t 3 3"]:
    trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1).clamp_min(1e-30)
    return matrix + 1e-12 * trace[:, None, None] * torch.eye(3, dtype=matrix.dtype)


def _solve(matrix: Float[Tensor, "t 3 3"], right: Float[Tensor, "t 3"]) -> Float[Tensor, "t 3"]:
    return torch.linalg.solve(_damped(matrix), right[:, :, None])[..., 0]
