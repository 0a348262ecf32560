"""Symmetries of a rigid object: the motions of its own frame that change nothing that can be seen."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3

_MOST_TURNS_OF_A_SPHERE = 40  # about each of three axes: 32 000 motions


@dataclass(frozen=True, eq=False)
class Axis:
    """A continuous symmetry: any turn about a line.

    Attributes:
        direction: unit vector in the object's frame.
        offset: a point of the line, object units.
    """

    direction: Float[Tensor, "3"]
    offset: Float[Tensor, "3"] = field(default_factory=lambda: torch.zeros(3, dtype=torch.float64))

    def turns(self, angle: Float[Tensor, "*b"]) -> SE3:
        """The motions that turn about the line by these angles in radians; float64."""
        return about(self.offset, so3.exp(self.direction.double() * angle.double()[..., None]))


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

    def lines(self) -> list[tuple[Axis, int | None]]:
        """The lines that the motions turn about, each with its order n (turns by a full turn / n); `None` is any turn.

        Continuous ones first, then by order. With a continuous axis a flip stands for all flips across it.
        """
        omega = so3.log(self.discrete.R.double())
        angle = omega.norm(dim=-1)
        found: list[tuple[Axis, int | None]] = []
        direction = omega / angle.clamp_min(1e-12)[:, None]
        left = angle > 1e-6
        while bool(left.any()):
            first = int(left.nonzero()[0, 0])
            same = left & ((direction @ direction[first]).abs() > math.cos(1e-3))
            eye = torch.eye(3, dtype=torch.float64)
            point = (
                torch.linalg.pinv(eye - self.discrete.R[first].double(), rtol=1e-9) @ self.discrete.t[first].double()
            )
            found.append((Axis(direction[first], point), int(same.sum()) + 1))
            left &= ~same
        found.sort(key=lambda line: -(line[1] or 0))
        return [*((axis, None) for axis in self.axes), *found]

    def sampled(self, max_shift: float = 0.01) -> SE3:
        """Finitely many motions that stand for the group: S of them, float64, the identity first.

        Args:
            max_shift: a continuous symmetry is sampled so that a point half a unit of length away from its axis, of an
                object of diameter 1, moves at most this far between neighbours: ceil(π / max_shift) turns, as the BOP
                toolkit does. A sphere gets at most 40³ / 2 motions, 9° apart, which is coarser.
        """
        found = self.discrete.double()
        if not self.axes:
            return found
        count = math.ceil(math.pi / max_shift)
        turns = _all_rotations(self.axes[0], count) if len(self.axes) > 1 else _full_circle(self.axes[0], count)
        outer = turns[:, None] @ found[None]
        return SE3(outer.R.flatten(0, 1), outer.t.flatten(0, 1))

    def rotations(self, max_shift: float = 0.01) -> Float[Tensor, "s 3 3"]:
        """The rotations of `sampled`; they are the whole of it where the centre of symmetry is the frame's origin."""
        return self.sampled(max_shift).R

    def nearest(self, pose: SE3, to: SE3) -> SE3:
        """Of all poses that look like `pose`, the one whose rotation is nearest to that of `to`; exact, not sampled.

        Args:
            pose: `cam_from_obj`, any batch shape.
            to: the same; batch shapes broadcast.

        Returns:
            `pose @ S`, with the dtype of `pose`. About an axis the best turn is where tr(A R(φ)), a cosine of φ, is
            greatest, with A = S_discrete Rᵀ_to R_pose.
        """
        relative = to.R.double().mT @ pose.R.double()
        moved = self._best(relative)
        found = pose.double() @ moved
        return SE3(found.R.to(pose.R.dtype), found.t.to(pose.t.dtype))

    def canonical(self, pose: SE3) -> SE3:
        """One representative of all poses that look like `pose`: that with the smallest rotation.

        For a sequence, `nearest(pose, to=previous)` is the choice that does not jump.
        """
        return self.nearest(pose, SE3.identity(dtype=torch.float64, device=pose.t.device))

    def deduplicate(self, poses: SE3, max_angle_rad: float, max_distance: float) -> Int[Tensor, "k"]:
        """Indices of the poses that differ from all kept before them; give the best first.

        Args:
            poses: H `cam_from_obj`.
            max_angle_rad: two poses are alike when, for one symmetry, their rotations are at most this far apart …
            max_distance: … and their translations, object units.
        """
        kept: list[int] = []
        left = torch.arange(len(poses), device=poses.t.device)
        while len(left):
            kept.append(int(left[0]))
            first, rest = poses[kept[-1]], poses[left]
            alike = self.nearest(rest, first)
            near = so3.angle(alike.R, first.R.expand_as(alike.R)) <= max_angle_rad
            near &= (alike.t - first.t).norm(dim=-1) <= max_distance
            near[0] = True
            left = left[~near]
        return torch.tensor(kept, dtype=torch.long, device=poses.t.device)

    def _best(self, relative: Float[Tensor, "*b 3 3"]) -> SE3:
        """Of the group, the motion S with the largest tr(relative @ S)."""
        if len(self.axes) > 1:
            return about(self.axes[0].offset.to(relative.device), relative.mT)
        discrete = self.discrete.to(relative.device).double()
        product = relative[..., None, :, :]
        if not self.axes:
            trace = (product @ discrete.R).diagonal(dim1=-2, dim2=-1).sum(-1)
            return discrete[trace.argmax(-1)]
        axis = Axis(self.axes[0].direction.to(relative), self.axes[0].offset.to(relative))
        a = discrete.R @ product
        along = (a @ axis.direction) @ axis.direction
        cosine = a.diagonal(dim1=-2, dim2=-1).sum(-1) - along
        sine = (a @ so3.hat(axis.direction)).diagonal(dim1=-2, dim2=-1).sum(-1)
        best = (torch.hypot(cosine, sine) + along).argmax(-1)
        angle = torch.atan2(sine, cosine).gather(-1, best[..., None])[..., 0]
        return axis.turns(angle) @ discrete[best]


def about(point: Float[Tensor, "3"], rotation: Float[Tensor, "*b 3 3"]) -> SE3:
    """The motions that rotate about a point; float64."""
    r, p = rotation.double(), point.double()
    return SE3(r, p - r @ p)


def _full_circle(axis: Axis, count: int) -> SE3:
    return axis.turns(torch.arange(count, dtype=torch.float64) * (2 * math.pi / count))


def _all_rotations(axis: Axis, count: int) -> SE3:
    """About a point: turns about z, y and z, uniform in the cosine of the middle one; the identity first."""
    n = min(count, _MOST_TURNS_OF_A_SPHERE)
    outer = torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)
    middle = torch.linspace(1, -1, max(2, n // 2), dtype=torch.float64).acos()
    a, b, c = torch.cartesian_prod(outer, middle, outer).unbind(-1)
    y, z = torch.eye(3, dtype=torch.float64)[1:]
    return about(axis.offset, so3.exp(a[:, None] * z) @ so3.exp(b[:, None] * y) @ so3.exp(c[:, None] * z))
