"""Where a NeRF lies in the dataset's world, and how rays are put to it. Poses in and out are the file's own.

A place that cameras stand around or in lies in its own frame as it is. A capture that looks ahead is warped: lines of
sight of the middle camera become parallel, and the distance from it, to infinity, becomes 0 to 1 (normalised device
coordinates, appendix C of the paper). The own frame then has OpenGL's axes (x right, y up, −z ahead), its origin in the
middle of the cameras, and the nearest content a little beyond a unit ahead.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3

_NEAREST = 0.75  # of the nearest depth is the unit, as in the released code: content begins at 4/3 units
_PARALLEL = 1e-9
_FLIP = (1.0, -1.0, -1.0)


@dataclass(frozen=True, eq=False)
class Space:
    """The frame of a NeRF.

    Attributes:
        local_from_world: similarity into it.
        near, far: first and last sample, local lengths along the ray; 0 and 1 where it is warped.
        warp: 2 fx / width and 2 fy / height of the cameras it was learned from, where it is warped.
        box: corners, local frame, outside of which there is nothing, where that is known.
    """

    local_from_world: Sim3
    near: float
    far: float
    warp: tuple[float, float] | None = None
    box: Float[Tensor, "2 3"] | None = None

    def local(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """World rays in the local frame, before any warp; directions keep their length."""
        turn, shift = self.local_from_world.R.to(origins), self.local_from_world.t.to(origins)
        return float(self.local_from_world.s) * (origins @ turn.mT) + shift, directions @ turn.mT

    def warped(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """Local rays as the network sees them: from the plane a unit ahead (t = 0) to infinity (t = 1)."""
        if self.warp is None:
            return origins, directions
        dz = -directions[:, 2].neg().clamp_min(1e-6)  # what looks sideways or back sees the border of the picture
        start = origins - ((1 + origins[:, 2]) / dz)[:, None] * directions
        (ox, oy, oz), (dx, dy) = start.unbind(-1), (directions / dz[:, None])[:, :2].unbind(-1)
        sx, sy = self.warp
        o = torch.stack([-sx * ox / oz, -sy * oy / oz, 1 + 2 / oz], -1)
        d = torch.stack([-sx * (dx - ox / oz), -sy * (dy - oy / oz), -2 / oz], -1)
        return o, d

    def span(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
        """First and last sample of warped rays, without a gradient; the last is not beyond the first where the box is
        missed.
        """
        near, far = (torch.full_like(origins[:, 0], x).detach() for x in (self.near, self.far))
        if self.box is None:
            return near, far
        o, d = origins.detach(), directions.detach()
        d = torch.where(d.abs() < _PARALLEL, torch.full_like(d, _PARALLEL), d)
        to_sides = (self.box.to(o)[:, None] - o) / d
        return to_sides.amin(0).amax(-1).maximum(near), to_sides.amax(0).amin(-1).minimum(far)

    def distance(
        self, at: Float[Tensor, "n"], origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n"]:
        """Distance from the camera, world units, of places `at` along local rays with unit directions."""
        scale = float(self.local_from_world.s)
        if self.warp is None:
            return at / scale
        ahead = directions[:, 2].neg().clamp_min(1e-6)
        to_plane = (1 + origins[:, 2]) / ahead
        return (to_plane + at / ((1 - at).clamp_min(1e-6) * ahead)) / scale


def place(
    space: Space, distance: Float[Tensor, "n"], origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
) -> Float[Tensor, "n"]:
    """The inverse of `Space.distance`: where along local rays a distance from the camera, world units, lies."""
    local = distance * float(space.local_from_world.s)
    if space.warp is None:
        return local
    forward = directions[:, 2].neg().clamp_min(1e-6)
    beyond = ((local - (1 + origins[:, 2]) / forward) * forward).clamp_min(0)
    return beyond / (1 + beyond)


def ahead(cam_from_world: SE3, camera: Camera, nearest: float) -> Space:
    """The warped frame of a capture that looks ahead.

    Args:
        cam_from_world: of the training photos.
        camera: theirs, at any size.
        nearest: depth of the nearest content, world units.
    """
    poses = cam_from_world.double()
    z, y = (torch.nn.functional.normalize(poses.R[:, row].mean(0), dim=0) for row in (2, 1))
    x = torch.nn.functional.normalize(torch.linalg.cross(y, z), dim=0)
    turn = so3.nearest_rotation(torch.stack([x, torch.linalg.cross(z, x), z]))
    turn = torch.tensor(_FLIP, dtype=torch.float64)[:, None] * turn
    s = 1 / (_NEAREST * nearest)
    middle = poses.center.mean(0)
    local_from_world = Sim3(torch.tensor(s, dtype=torch.float64), turn, -s * (turn @ middle))
    return Space(local_from_world, 0.0, 1.0, (2 * camera.fx / camera.width, 2 * camera.fy / camera.height))


def finite(space: Space) -> bool:
    """Whether all its numbers can be used; those of a file may be anything."""
    a = space.local_from_world
    numbers = [float(a.s), space.near, space.far, *a.t.tolist(), *a.R.flatten().tolist(), *(space.warp or ())]
    rotation = float((a.R @ a.R.mT - torch.eye(3).to(a.R)).abs().max()) < 1e-5
    numbers += [] if space.box is None else space.box.flatten().tolist()
    return all(map(math.isfinite, numbers)) and float(a.s) > 0 and 0 <= space.near < space.far and rotation
