"""Starts around an object that cameras look at: azimuths all around, heights evenly between two."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.protocols import Prior
from resect.types import Hypotheses, Photo


@dataclass(frozen=True)
class ViewGrid:
    """Upright poses that look at a middle; the same for every photo.

    The published grid (24 starts of i-σSRN) has elevations from −45° to 45°.

    Attributes:
        center: what is looked at, world units.
        radius: distance from it.
        up: world direction that is up in the photos.
        elevation_rad: least and greatest.
        azimuths: how many, equally spaced.
        elevations: how many; the middles of equal parts where `inside`, else from end to end.
        inside: see `elevations`.
    """

    center: tuple[float, float, float]
    radius: float
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    elevation_rad: tuple[float, float] = (-math.pi / 4, math.pi / 4)
    azimuths: int = 8
    elevations: int = 3
    inside: bool = False

    def __post_init__(self) -> None:
        low, high = self.elevation_rad
        if not (0 < self.radius < math.inf and -math.pi / 2 <= low <= high <= math.pi / 2):
            got = f"radius {self.radius:g}, elevations {low:g} to {high:g}"
            raise ResectError("view grid", "a positive radius and two elevations within ±π/2", got)
        if self.azimuths < 1 or self.elevations < 1:
            raise ResectError("view grid", "1 or more of each", f"{self.azimuths} × {self.elevations}")

    def poses(self) -> SE3:
        """All of them, float64, azimuth by azimuth."""
        low, high = self.elevation_rad
        part = torch.arange(self.elevations, dtype=torch.float64)
        share = (part + 0.5) / self.elevations if self.inside else part / max(1, self.elevations - 1)
        height = (low + (high - low) * share).repeat(self.azimuths)
        turn = torch.arange(self.azimuths, dtype=torch.float64).repeat_interleave(self.elevations)
        turn = 2 * math.pi * turn / self.azimuths
        up = torch.nn.functional.normalize(torch.tensor(self.up, dtype=torch.float64), dim=0)
        ahead, aside = _across(up)
        flat = (turn.cos()[:, None] * ahead + turn.sin()[:, None] * aside) * height.cos()[:, None]
        middle = torch.tensor(self.center, dtype=torch.float64)
        eyes = middle + self.radius * (flat + height.sin()[:, None] * up)
        return look_at(eyes, middle.expand_as(eyes), up)

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """The grid, whatever the count: a part of a grid would leave out a side."""
        del count, generator
        poses = self.poses()
        return Hypotheses(poses, torch.zeros(len(poses)), source=("view-grid",) * len(poses), target=photo.target)


def _across(up: Float[Tensor, "3"]) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Two unit vectors that make a right-handed frame with up as its last axis."""
    spare = torch.nn.functional.one_hot(up.abs().argmin(), 3).to(up)
    ahead = torch.nn.functional.normalize(spare - (spare @ up) * up, dim=0)
    return ahead, torch.linalg.cross(up, ahead)


@dataclass(frozen=True, eq=False)
class Centered:
    """Another prior's rotations, each from where the middle is straight ahead at the usual distance.

    Attributes:
        prior: gives rotations, of which it may know the translation or not.
        center: the middle, world units.
        radius: distance from it.
    """

    prior: Prior
    center: tuple[float, float, float]
    radius: float

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """As many as the other prior gives."""
        found = self.prior.propose(photo, count, generator)
        rotation = found.cam_from_world.R
        middle = torch.tensor(self.center).to(rotation)
        ahead = torch.tensor([0.0, 0.0, self.radius]).to(rotation)
        return replace(found, cam_from_world=SE3(rotation, ahead - rotation @ middle), information=None)
