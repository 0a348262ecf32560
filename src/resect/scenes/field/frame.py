"""Where the grid lies in the dataset's world: one rule from cameras, transparency and depth range.

The unit ball of the local frame is sampled uniformly, everything beyond is contracted, so the ball should hold what
deserves voxels. Four cases, tried in order:

1. *Object*: photos are transparent around it. The ball is centred where the cameras look and reaches as far as any
   opaque pixel's ray passes from that point.
2. *Common place*: at least 90 % of the cameras have the point nearest to all optical axes before them, and it is not
   farther than four times the cameras' mean distance from their own mean. The ball is centred there, the mean distance
   of the cameras is 1.
3. *Ahead*: the depth range is known and optical axes are nearly parallel (length of their mean above 0.9). The ball is
   centred on the cameras and the nearest content is at 1.
4. *Around*: all other captures; cameras look out, or about. Centred on the cameras; the ball's radius is ROOM_RADII
   times their mean distance from their mean.

Near is 0.3 local units (0.1 in case 4), or nearer where the depth range says so (with a margin of a fifth); far is 40.
In case 1 both hold the object's ball.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.look_at import nearest_point_to_axes
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3

FARTHEST = 40.0
"""Distance, in local units, at which rays end where the data does not say."""
ROOM_RADII = 2.0
"""Radius of the ball over the mean distance of the cameras from their mean, in case 4."""

Case = Literal["object", "common", "ahead", "around"]


@dataclass(frozen=True, eq=False)
class Frame:
    """The field's own coordinates.

    Attributes:
        local_from_world: similarity from the dataset's world to the local frame; its rotation is the identity.
        near: first distance from a camera at which a ray is sampled, local units.
        far: distance at which a ray ends, local units.
        typical: mean distance from the training cameras of what they look at, local units.
        case: which rule placed it.
    """

    local_from_world: Sim3
    near: float
    far: float
    typical: float
    case: Case


def find_frame(
    cam_from_world: SE3,
    silhouettes: list[tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]] | None = None,
    depth_range: tuple[float, float] | None = None,
) -> Frame:
    """The frame by the rule in this module's text.

    Args:
        cam_from_world: poses of the training photos.
        silhouettes: for photos with transparency, (origins, directions) of world rays through opaque pixels.
        depth_range: nearest and farthest content, world units.
    """
    centers, axes = cam_from_world.center.double(), cam_from_world.axis.double()
    if not bool(torch.isfinite(centers).all() & torch.isfinite(axes).all()):
        raise ResectError("training poses", "finite numbers", "NaN or infinite entries", "Check the pose file.")
    focus = nearest_point_to_axes(centers, axes)
    distance = (centers - focus).norm(dim=-1)
    middle = centers.mean(0)
    spread = float((centers - middle).norm(dim=-1).mean())
    if silhouettes:
        radius = max(_passing_distance(o.double(), d.double(), focus) for o, d in silhouettes)
        return _frame(focus, radius, "object", float(distance.mean()), _object_range(distance, radius))
    before = ((focus - centers) * axes).sum(-1) > 0
    reach = float(distance.mean())
    if float(before.double().mean()) >= 0.9 and 0 < reach <= 4 * spread:
        return _frame(focus, reach, "common", reach, _known_range(depth_range, 0.3 * reach, reach))
    if depth_range is not None and depth_range[0] > 0 and float(axes.mean(0).norm()) > 0.9:
        unit = depth_range[0]
        return _frame(middle, unit, "ahead", 2 * unit, _known_range(depth_range, 0.3 * unit, unit))
    unit = ROOM_RADII * spread
    return _frame(middle, unit, "around", 2 * unit, _known_range(depth_range, 0.1 * unit, unit))


def _frame(center: Tensor, unit: float, case: Case, typical: float, span: tuple[float, float]) -> Frame:
    """The frame with `center` at the origin and `unit` (world) as length 1; `span` and `typical` in world units."""
    if not unit > 0:
        raise ResectError("training poses", "cameras at different places", "all at one", "Check the pose file.")
    s = torch.tensor(1 / unit, dtype=torch.float64)
    local_from_world = Sim3(s, torch.eye(3, dtype=torch.float64), -center / unit)
    return Frame(local_from_world, span[0] / unit, span[1] / unit, typical / unit, case)


def _passing_distance(origins: Tensor, directions: Tensor, point: Tensor) -> float:
    """Largest distance at which the rays pass the point."""
    to_point = point - origins
    along = (to_point * directions).sum(-1, keepdim=True)
    return float((to_point - along * directions).norm(dim=-1).max()) if len(origins) else 0.0


def _object_range(distance: Tensor, radius: float) -> tuple[float, float]:
    """Near and far that hold the object's ball, with a margin."""
    return max(float(distance.min()) - 1.1 * radius, 0.05 * radius), float(distance.max()) + 1.1 * radius


def _known_range(depth_range: tuple[float, float] | None, near: float, unit: float) -> tuple[float, float]:
    """Near and far in world units: from the data with a margin, else the default."""
    if depth_range is None:
        return near, FARTHEST * unit
    return min(near, 0.8 * depth_range[0]) if depth_range[0] > 0 else near, FARTHEST * unit
