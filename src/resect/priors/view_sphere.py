"""Many poses around a scene, without any photo of it: a sphere of views that look at its middle, or places to be."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.look_at import look_at, nearest_point_to_axes, view_sphere
from resect.geometry.se3 import SE3
from resect.types import Hypotheses, Photo

_FACING = 0.9  # mean cosine between optical axes and the direction of the middle: cameras that look at one thing
_ONE_SIDED = 0.75  # length of the mean direction of the middle: near 1 for cameras that all stand on one side


@dataclass(frozen=True)
class ViewSphereSettings:
    """Where to look from.

    Attributes:
        rolls: turns about the optical axis for each direction, equally spaced; 1 keeps photos upright.
        jitter: random part of each pose, as a share of the spacing between poses.
        reach: for places, standard deviation of a position about the training camera it is drawn at, as a share of the
            mean distance to the point the cameras look at.
        radius: distance from the middle in half diagonals of the bounds, where no cameras are known.
    """

    rolls: int = 1
    jitter: float = 0.3
    reach: float = 0.1
    radius: float = 1.5


@dataclass(frozen=True, eq=False)
class ViewSphere:
    """Poses spread over all that is possible; the same for every photo but for the random part.

    Attributes:
        center: what is looked at, world units.
        radius: distance from it, world units.
        up: world direction that is up in an upright photo.
        settings: how poses are spread.
        cameras: `cam_from_world` of training photos, for a place: positions and directions are drawn about theirs.
            `None` for an object that can be seen from all sides.
    """

    center: Float[Tensor, "3"]
    radius: float
    up: Float[Tensor, "3"]
    settings: ViewSphereSettings = ViewSphereSettings()
    cameras: SE3 | None = None

    def __post_init__(self) -> None:
        finite = bool(self.center.isfinite().all()) and math.isfinite(self.radius)
        if not finite or self.radius <= 0:
            raise ResectError("view sphere", "a finite centre and a positive radius", f"{self.center}, {self.radius}")

    @classmethod
    def around(
        cls,
        bounds: Float[Tensor, "2 3"],
        cameras: SE3 | None = None,
        *,
        up: Float[Tensor, "3"] | None = None,
        settings: ViewSphereSettings | None = None,
    ) -> Self:
        """From a scene's bounds and, where there are any, its training cameras.

        The sphere's middle is the point the cameras look at and its radius their mean distance from it; without cameras
        the middle of the bounds and a radius that shows all of them. `up` defaults to the mean of the cameras' own,
        else +z. Cameras that stand around the middle and look at it make an orbit (an object); others make a place.
        """
        s = settings or ViewSphereSettings()
        box = bounds.double()
        if cameras is None or len(cameras) == 0:
            radius = s.radius * float((box[1] - box[0]).norm()) / 2
            default_up = torch.tensor([0.0, 0.0, 1.0]) if up is None else up
            return cls(box.mean(0), radius, default_up.double(), s)
        known = cameras.double()
        center = nearest_point_to_axes(known.center, known.axis)
        radius = float((known.center - center).norm(dim=-1).mean())
        mean_up = torch.nn.functional.normalize(-known.R[:, 1].mean(0), dim=0)
        inward = torch.nn.functional.normalize(center - known.center, dim=-1)
        facing = float((inward * known.axis).sum(-1).mean())
        orbit = facing > _FACING and float(inward.mean(0).norm()) < _ONE_SIDED
        return cls(center, radius, mean_up if up is None else up.double(), s, None if orbit else known)

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """`count` poses of equal weight."""
        count = max(0, count)
        poses = self._orbit(count, generator) if self.cameras is None else self._places(self.cameras, count, generator)
        return Hypotheses(poses, torch.zeros(len(poses)), source=("view-sphere",) * len(poses), target=photo.target)

    def _orbit(self, count: int, generator: torch.Generator) -> SE3:
        rolls = max(1, min(self.settings.rolls, count))
        directions = max(1, math.ceil(count / rolls))
        sphere = view_sphere(directions, self.radius, dtype=torch.float64).center
        spacing = math.sqrt(4 * math.pi / directions)
        sphere = sphere + self.settings.jitter * spacing * self.radius * _normal(generator, directions, 3) / 2
        centers = self.center + self.radius * torch.nn.functional.normalize(sphere, dim=-1)
        upright = look_at(centers, self.center.expand_as(centers), self.up)
        roll = torch.arange(rolls, dtype=torch.float64) * (2 * math.pi / rolls)
        turn = so3.exp(torch.stack([torch.zeros_like(roll), torch.zeros_like(roll), roll], -1))
        rotation = (turn[None] @ upright.R[:, None]).flatten(0, 1)[:count]
        translation = (turn[None] @ upright.t[:, None, :, None])[..., 0].flatten(0, 1)[:count]
        return SE3(rotation, translation)

    def _places(self, cameras: SE3, count: int, generator: torch.Generator) -> SE3:
        """Positions about the training cameras, each looking near where another training camera looks."""
        order = _spread(cameras.center, count, generator)
        wide = self.settings.reach * self.radius
        centers = cameras.center[order] + wide * _normal(generator, count, 3)
        focus = cameras.center[order] + self.radius * cameras.axis[order] + wide * _normal(generator, count, 3)
        poses = look_at(centers, focus, self.up)
        rolls = self.settings.rolls
        roll = 2 * math.pi / rolls * (torch.arange(count, dtype=torch.float64) % rolls)
        turn = so3.exp(torch.stack([torch.zeros_like(roll), torch.zeros_like(roll), roll], -1))
        return SE3(turn @ poses.R, (turn @ poses.t[:, :, None])[..., 0])


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _spread(centers: Float[Tensor, "n 3"], count: int, generator: torch.Generator) -> Tensor:
    """`count` indices: every camera before any comes twice, those far from the chosen ones first."""
    first = int(torch.randint(len(centers), (1,), generator=generator)) if len(centers) else 0
    order, nearest = [], torch.full((len(centers),), torch.inf, dtype=centers.dtype)
    chosen = first
    for _ in range(min(count, len(centers))):
        order.append(chosen)
        nearest = torch.minimum(nearest, (centers - centers[chosen]).norm(dim=-1))
        nearest[chosen] = -1.0
        chosen = int(nearest.argmax())
    again = max(1, math.ceil(count / max(1, len(order))))
    return torch.tensor(order, dtype=torch.long).repeat(again)[:count]
