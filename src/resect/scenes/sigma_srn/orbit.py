"""What a category network was learned from: its instances, and from where they were seen."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.look_at import nearest_point_to_axes
from resect.geometry.se3 import SE3

_ENDS = (0.05, 0.95)  # quantiles of the elevation: one stray camera opens no new belt
_LEVEL = 1e-3  # mean square of the images' x axes along up, at most, where cameras do not roll
_MOST_INSTANCES = 1_000_000


@dataclass(frozen=True)
class Orbit:
    """Cameras around a middle that they look at.

    Attributes:
        center: the point they look at, world units.
        radius: their median distance from it.
        up: world direction that is up in their images.
        elevation_rad: least and greatest height above the plane across `up`.
    """

    center: tuple[float, float, float]
    radius: float
    up: tuple[float, float, float]
    elevation_rad: tuple[float, float]

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.center, *self.up, *self.elevation_rad))) or not 0 < self.radius < math.inf:
            fix = "Check the poses: cameras stand around the object and look at it."
            raise ResectError("orbit", "cameras around what they look at", str(self), fix)

    @classmethod
    def of(cls, cam_from_world: SE3) -> Self:
        """From the poses of training views."""
        poses = cam_from_world.double()
        center = nearest_point_to_axes(poses.center, poses.axis)
        toward = poses.center - center
        distance = toward.norm(dim=-1)
        up = _up(poses)
        height = (toward @ up / distance.clamp_min(1e-12)).clamp(-1, 1).asin()
        low, high = height.quantile(torch.tensor(_ENDS, dtype=height.dtype)).tolist()
        return cls(_triple(center), float(distance.median()), _triple(up), (low, high))


@dataclass(frozen=True)
class Learned:
    """What a category network was learned from.

    Attributes:
        instances: names of those that it has codes of.
        bounds: corners of a box around what there is to see.
        orbit: of the training views.
        camera: of the first of them.
        residual: root of the mean square of colour differences between training views and renders at their poses.
    """

    instances: tuple[str, ...]
    bounds: tuple[tuple[float, float, float], tuple[float, float, float]]
    orbit: Orbit
    camera: Camera
    residual: float

    def __post_init__(self) -> None:
        if not 0 < len(self.instances) <= _MOST_INSTANCES:
            raise ResectError("instances", f"1 to {_MOST_INSTANCES} names", str(len(self.instances)), "Fit it again.")
        corners = (*self.bounds[0], *self.bounds[1])
        if not all(map(math.isfinite, corners)) or not 0 < self.residual < math.inf:
            got = f"{self.bounds}, {self.residual}"
            raise ResectError("bounds, residual", "finite corners and a positive residual", got, "Fit it again.")


def _up(poses: SE3) -> Float[Tensor, "3"]:
    """Across the images' x axes, if cameras do not roll; on the side where the images' upper edges are."""
    mean, right = -poses.R[:, 1].mean(0), poses.R[:, 0]
    level = torch.linalg.eigh(right.mT @ right).eigenvectors[:, 0]
    if len(poses) < 3 or float((right @ level).square().mean()) > _LEVEL:
        return torch.nn.functional.normalize(mean, dim=0)
    return level if float(level @ mean) > 0 else -level


def _triple(x: Tensor) -> tuple[float, float, float]:
    a, b, c = x.double().tolist()
    return a, b, c
