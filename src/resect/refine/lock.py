"""Degrees of freedom that are known exactly: a pose keeps them from an anchor, and only the others are searched.

A pose is written as u = (s, θ), how far it moved from its anchor (R₀, centre c₀), along the axes of the anchor's camera
(x right, y down, z forward): R = exp(θ) R₀ and centre = c₀ + R₀ᵀ s. Locked components of u are zero, whatever way a
search took, which a step-wise lock in the frame of a camera that turns would not give.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.errors import ResectError, unknown_name
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.refine.linearize import POSE_NAMES

GROUPS = {"translation": POSE_NAMES[:3], "rotation": POSE_NAMES[3:]}
"""Names that stand for three degrees of freedom each."""

_FIRMNESS = 1e6


@dataclass(frozen=True, eq=False)
class Lock:
    """What H poses keep from their anchors.

    Attributes:
        anchor: H poses.
        locked: which of u = (s, θ) stay zero.
    """

    anchor: SE3
    locked: Bool[Tensor, "6"]

    @property
    def rotation(self) -> bool:
        """Whether no turn is left."""
        return bool(self.locked[3:].all())

    @property
    def translation(self) -> bool:
        """Whether the camera's centre stays where it is."""
        return bool(self.locked[:3].all())

    def take(self, index: Tensor) -> "Lock":
        """The locks of these poses."""
        return Lock(self.anchor[index], self.locked)

    def motion(self, cam_from_world: SE3) -> Float[Tensor, "h 6"]:
        """u = (s, θ) of poses, exactly zero where locked, float64."""
        pose, anchor = cam_from_world.double(), self.anchor.double()
        shift = (anchor.R @ (pose.center - anchor.center)[..., None])[..., 0]
        u = torch.cat([shift, so3.log(pose.R @ anchor.R.mT)], -1)
        return torch.where(self.locked, torch.zeros_like(u), u)

    def moved(self, u: Float[Tensor, "h 6"]) -> SE3:
        """The poses at u, float64; what is locked is bit for bit the anchor's."""
        anchor = self.anchor.double()
        rotation = so3.exp(u[:, 3:]) @ anchor.R
        if self.rotation and self.translation:
            return anchor
        if self.rotation:
            return SE3(anchor.R, anchor.t - u[:, :3])
        center = anchor.center + (anchor.R.mT @ u[:, :3, None])[..., 0]
        return SE3(rotation, -(rotation @ center[..., None])[..., 0])

    def hold(self, cam_from_world: SE3) -> SE3:
        """The poses with locked components set back, in their dtype."""
        held = self.moved(self.motion(cam_from_world))
        return SE3(held.R.to(cam_from_world.R), held.t.to(cam_from_world.t))

    def derivative(self, u: Float[Tensor, "h 6"]) -> Float[Tensor, "h 6 6"]:
        """∂δ/∂u of δ = (v, ω) in exp(δ) @ cam_from_world: v = −exp(θ) ds, ω = J(θ) dθ, J the left Jacobian of SO(3)."""
        theta = u[:, 3:]
        _, b, c = (x[:, None, None] for x in so3.coefficients((theta * theta).sum(-1)))
        k = so3.hat(theta)
        turning = torch.eye(3, dtype=u.dtype, device=u.device) + b * k + c * (k @ k)
        zero = torch.zeros_like(turning)
        return torch.cat([torch.cat([-so3.exp(theta), zero], -1), torch.cat([zero, turning], -1)], -2)

    def firm(self, cam_from_world: SE3, information: Float[Tensor, "h 6 6"]) -> Float[Tensor, "h 6 6"]:
        """Information with locked directions added: a thousand times more exact than the others, as ∞ is no number."""
        back = torch.linalg.inv(self.derivative(self.motion(cam_from_world)))
        largest = information.diagonal(dim1=-2, dim2=-1).unflatten(-1, (2, 3)).amax(-1)
        weight = _FIRMNESS * largest.clamp_min(1e-12).repeat_interleave(3, -1) * self.locked
        return information + back.mT @ (weight[..., None] * back)


def locked_of(names: Sequence[str]) -> Bool[Tensor, "6"]:
    """Which of (vx, vy, vz, wx, wy, wz) names such as "rotation", "vz" or "wx" lock.

    Raises:
        ResectError: an unknown name, or nothing left to find.
    """
    for name in names:
        if name not in (*GROUPS, *POSE_NAMES):
            raise unknown_name("lock", name, (*GROUPS, *POSE_NAMES))
    single = {part for name in names for part in GROUPS.get(name, (name,))}
    if len(single) == len(POSE_NAMES):
        fix = "Lock fewer, e.g. rotation; to see how well a pose fits there is 'resect score'."
        raise ResectError("lock", "a degree of freedom left to find", "all six locked", fix)
    return torch.tensor([name in single for name in POSE_NAMES])
