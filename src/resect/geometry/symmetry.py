"""Symmetries of a rigid object: the motions of its own frame that change nothing that can be seen."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3


@dataclass(frozen=True, eq=False)
class Axis:
    """A continuous symmetry: any turn about a line.

    Attributes:
        direction: unit vector in the object's frame.
        offset: a point of the line, object units.
    """

    direction: Float[Tensor, "3"]
    offset: Float[Tensor, "3"] = field(default_factory=lambda: torch.zeros(3, dtype=torch.float64))


@dataclass(frozen=True, eq=False)
class Symmetries:
    """All motions S with appearance(pose @ S) = appearance(pose), as BOP's `models_info` splits them.

    Attributes:
        discrete: `obj_from_obj`, the identity first; always at least the identity.
        axes: continuous ones; each motion of `discrete` may be followed by any turn about each. Two different axes
            through one point generate all rotations: a sphere.
    """

    discrete: SE3 = field(default_factory=lambda: SE3.identity(1, dtype=torch.float64))
    axes: tuple[Axis, ...] = ()

    @property
    def trivial(self) -> bool:
        """Whether there is only the identity."""
        return len(self.discrete) == 1 and not self.axes

    def sampled(self, max_shift: float = 0.01) -> SE3:
        """Finitely many motions that stand for the group: S of them, float64, the identity first.

        Args:
            max_shift: a continuous symmetry is sampled so that a point half a unit of length away from its axis, of an
                object of diameter 1, moves at most this far between neighbours: ceil(π / max_shift) turns, as the BOP
                toolkit does.
        """
        found = self.discrete.double()
        for axis in self.axes:
            count = math.ceil(math.pi / max_shift)
            angle = torch.arange(count, dtype=torch.float64) * (2 * math.pi / count)
            turn = so3.exp(axis.direction.double() * angle[:, None])
            point = axis.offset.double()
            turns = SE3(turn, point - turn @ point)
            outer = turns[:, None] @ found[None]
            found = SE3(outer.R.flatten(0, 1), outer.t.flatten(0, 1))
        return found
