"""Views of an object that stands upright (y up, +x front), laid into its box: from all around, or as a table says."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.look_at import look_at
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.priors.lift import lift
from resect.priors.views import box_of, hull_points
from resect.types import Hypotheses, Photo

_FIT_SIGMA = 0.2  # of a box's sides, part of its longer one
_ELEVATIONS_DEG = (0.0, 12.0, 24.0, 36.0, 50.0)


@dataclass(frozen=True, eq=False)
class UprightViews:
    """Cameras around an upright object, without roll.

    Attributes:
        points: of the object's hull.
        viewpoints: (azimuth, elevation, tilt) of each view in radians, see `viewpoint_rotation`.
    """

    points: Float[Tensor, "n 3"]
    viewpoints: Float[Tensor, "v 3"]

    @classmethod
    def around(
        cls, mesh: Mesh, azimuths: int = 36, elevations_deg: tuple[float, ...] = _ELEVATIONS_DEG
    ) -> "UprightViews":
        """From all sides, from level to well above."""
        turn = torch.arange(azimuths, dtype=torch.float64) * (2 * math.pi / azimuths)
        rise = torch.tensor(elevations_deg, dtype=torch.float64).deg2rad()
        grid = torch.cartesian_prod(turn, rise)
        return cls(hull_points(mesh.vertices), torch.nn.functional.pad(grid, (0, 1)))

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """At most `count` poses, those that fit the box best; none where there is neither box nor mask."""
        box = box_of(photo.target)
        if box is None or count < 1:
            return Hypotheses(SE3.identity(0, dtype=torch.float64), torch.zeros(0), target=photo.target)
        found = lift(viewpoint_rotation(self.viewpoints), self.points.double(), photo.known_camera(), box)
        keep = found.valid.nonzero()[:, 0]
        keep = keep[found.misfit[keep].argsort(stable=True)[:count]]
        weight = -0.5 * (found.misfit[keep] / _FIT_SIGMA).square()
        return Hypotheses(
            found.cam_from_world[keep], weight.float(), source=("upright",) * len(keep), target=photo.target
        )


def viewpoint_rotation(viewpoint: Float[Tensor, "v 3"]) -> Float[Tensor, "v 3 3"]:
    """`cam_from_obj` rotations of cameras that look at the object's origin.

    Args:
        viewpoint: radians. Azimuth is counter-clockwise seen from above, 0 in front (+x); any number of turns.
        Elevation is
            above the ground plane. Tilt turns the camera clockwise about its optical axis, as it sees the scene.
    """
    azimuth, elevation, tilt = viewpoint.unbind(-1)
    flat = elevation.cos()
    center = torch.stack([azimuth.cos() * flat, elevation.sin(), -azimuth.sin() * flat], -1)
    upright = look_at(center, torch.zeros_like(center), torch.tensor([0.0, 1.0, 0.0])).R
    zero = torch.zeros_like(tilt)
    return so3.exp(torch.stack([zero, zero, -tilt], -1)) @ upright


def viewpoint_of(rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """Azimuth in [0, 2π), elevation and tilt of rotations; the inverse of `viewpoint_rotation`, but straight above."""
    toward = -rotation[..., 2, :]
    azimuth = torch.atan2(-toward[..., 2], toward[..., 0]) % (2 * math.pi)
    elevation = torch.atan2(toward[..., 1], torch.hypot(toward[..., 0], toward[..., 2]))
    tilt = torch.atan2(-rotation[..., 0, 1], -rotation[..., 1, 1])
    return torch.stack([azimuth, elevation, tilt], -1)
