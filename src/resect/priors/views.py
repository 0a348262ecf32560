"""Every rotation of an object, laid into the box or mask that it was detected in: no training, no start needed."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data import mask
from resect.data.mask import Box
from resect.geometry.look_at import view_sphere
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.priors.lift import lift
from resect.types import Hypotheses, Photo, Target

_MOST_POINTS = 512


@dataclass(frozen=True, eq=False)
class Views:
    """Rotations spread evenly over SO(3), each at the translation that fills the target's box.

    Attributes:
        points: of the object's hull, world units.
        rolls: turns about the optical axis for each viewing direction; 0 keeps the spacing of both equal.
    """

    points: Float[Tensor, "n 3"]
    rolls: int = 0

    @classmethod
    def of(cls, mesh: Mesh) -> "Views":
        """Of a mesh."""
        return cls(hull_points(mesh.vertices))

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """At most `count` poses, those that fit the box best weigh most; none where there is neither box nor mask."""
        box = box_of(photo.target)
        if box is None or count < 1:
            none = SE3.identity(0, dtype=torch.float64)
            return Hypotheses(none, torch.zeros(0), target=photo.target)
        found = lift(every_rotation(count, self.rolls), self.points.double(), photo.known_camera(), box)
        keep = found.valid.nonzero()[:, 0]
        weight = -0.5 * (found.misfit[keep] / 0.2).square()
        names = ("views",) * len(keep)
        return Hypotheses(found.cam_from_world[keep], weight.float(), source=names, target=photo.target)


def every_rotation(count: int, rolls: int = 0) -> Float[Tensor, "n 3 3"]:
    """At most `count` rotations spread evenly over SO(3), float64.

    Args:
        count: how many.
        rolls: turns about the optical axis for each viewing direction; 0 keeps the spacing of both equal: of directions
            d and rolls r, √(4π/d) = 2π/r.
    """
    rolls = rolls or max(1, round((torch.pi * count) ** (1 / 3)))
    return view_sphere(max(1, count // rolls), 1.0, rolls=rolls, dtype=torch.float64).R


def turned_in_place(pose: SE3, middle: Float[Tensor, "3"], count: int) -> Hypotheses:
    """Every rotation about a point of the object that stays where one pose has it: its place is known, its turn not."""
    rotation, own = every_rotation(count), middle.double()
    at = pose.double().apply(own[None])[0]
    poses = SE3(rotation, at - rotation @ own)
    return Hypotheses(poses, torch.zeros(len(rotation)), source=("views",) * len(rotation))


def box_of(target: Target | None) -> Box | None:
    """The visible box of a target, from its mask where it has no box."""
    if target is None:
        return None
    if target.box is not None or target.mask is None or not bool(target.mask.any()):
        return target.box
    return mask.box_of(target.mask)


def hull_points(points: Float[Tensor, "n 3"]) -> Float[Tensor, "k 3"]:
    """At most 512 points that bound the others in all directions: the farthest along spread directions."""
    toward = -view_sphere(_MOST_POINTS, 1.0, dtype=points.dtype).axis.to(points)
    return points[(points @ toward.mT).argmax(0).unique()]
