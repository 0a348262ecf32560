"""Poses as what a network regresses, position and quaternion, and the learnable balance between their errors.

Kendall, Cipolla, "Geometric loss functions for camera pose regression with deep learning", CVPR 2017:
L = L_x e^(−s_x) + s_x + L_q e^(−s_q) + s_q, with s_x and s_q learned. What differs: q and −q are the same rotation.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from resect.geometry import so3
from resect.geometry.se3 import SE3

_MOST = 10.0


class PoseLoss(nn.Module):
    """Error of position and of quaternion, weighed against each other.

    Args:
        s_x: log of the expected position error, in the units of what is regressed; or its weight where not learned.
        s_q: the same of the quaternion.
        learned: whether training changes them; else the loss is s_x L_x + s_q L_q.
        norm: of the differences: 1 or 2.
    """

    def __init__(self, s_x: float = 0.0, s_q: float = -3.0, *, learned: bool = True, norm: int = 2) -> None:
        super().__init__()
        self.learned, self.norm = learned, norm
        self.s = nn.Parameter(torch.tensor([s_x, s_q]), requires_grad=learned)

    def forward(
        self,
        x: Float[Tensor, "b 3"],
        q: Float[Tensor, "b 4"],
        true_x: Float[Tensor, "b 3"],
        true_q: Float[Tensor, "b 4"],
    ) -> dict[str, Tensor]:
        """The loss, and the mean errors of position and quaternion."""
        unit, true_unit = functional.normalize(q, dim=-1), functional.normalize(true_q, dim=-1)
        position = (x - true_x).norm(p=self.norm, dim=-1).mean()
        one, other = ((unit - sign * true_unit).norm(p=self.norm, dim=-1) for sign in (1, -1))
        rotation = torch.minimum(one, other).mean()
        if self.learned:
            s_x, s_q = self.s.clamp(-_MOST, _MOST)
            loss = position * torch.exp(-s_x) + s_x + rotation * torch.exp(-s_q) + s_q
        else:
            loss = self.s[0] * position + self.s[1] * rotation
        return {"loss": loss, "position": position, "quaternion": rotation}


class PoseFrame(nn.Module):
    """What poses are regressed in: positions about the middle of the training cameras, in units of their spread;
    rotations against their mean. A part of the network, so that it is saved with it.

    Args:
        poses: of the training cameras; `None` leaves poses as they are.
    """

    origin: Tensor
    scale: Tensor
    reference: Tensor

    def __init__(self, poses: SE3 | None = None) -> None:
        super().__init__()
        origin, scale, reference = torch.zeros(3), torch.tensor(1.0), torch.eye(3)
        if poses is not None:
            center = poses.center.double()
            origin = center.mean(0)
            scale = (center - origin).norm(dim=-1).mean().clamp_min(1e-6)
            reference = so3.nearest_rotation(poses.R.double().mean(0))
        for name, value in (("origin", origin), ("scale", scale), ("reference", reference)):
            self.register_buffer(name, value.float())

    def encode(self, poses: SE3) -> tuple[Float[Tensor, "*b 3"], Float[Tensor, "*b 4"]]:
        """Position and quaternion (w ≥ 0)."""
        x = (poses.center - self.origin.to(poses.t)) / self.scale.to(poses.t)
        q = so3.to_quaternion(poses.R @ self.reference.to(poses.t).mT)
        return x.float(), q.float()

    def decode(self, x: Float[Tensor, "*b 3"], q: Float[Tensor, "*b 4"]) -> SE3:
        """`cam_from_world` of a position and a quaternion of any length."""
        center = self.origin + self.scale * x
        rotation = so3.from_quaternion(functional.normalize(q, dim=-1)) @ self.reference
        return SE3(rotation, -(rotation @ center[..., None])[..., 0])
