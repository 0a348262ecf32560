"""Similarity transforms `a_from_b`: x_a = s R x_b + t, for worlds that differ by a scale."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3


@dataclass(frozen=True, eq=False)
class Sim3:
    """A batch of similarity transforms; s > 0."""

    s: Float[Tensor, "*b"]
    R: Float[Tensor, "*b 3 3"]
    t: Float[Tensor, "*b 3"]

    def __matmul__(self, other: "Sim3") -> "Sim3":
        moved = self.s[..., None] * (self.R @ other.t[..., None])[..., 0] + self.t
        return Sim3(self.s * other.s, self.R @ other.R, moved)

    def apply(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
        """Moves n points per transform."""
        return self.s[..., None, None] * (points @ self.R.mT) + self.t[..., None, :]

    def inverse(self) -> "Sim3":
        """`b_from_a`."""
        rt, s = self.R.mT, 1 / self.s
        return Sim3(s, rt, -s[..., None] * (rt @ self.t[..., None])[..., 0])

    @classmethod
    def identity(cls, dtype: torch.dtype = torch.float32) -> "Sim3":
        """The identity."""
        return cls(torch.ones((), dtype=dtype), torch.eye(3, dtype=dtype), torch.zeros(3, dtype=dtype))

    def move_camera(self, cam_from_b: SE3) -> SE3:
        """The same camera seen from frame a: `cam_from_a`, with lengths in a's units.

        A camera has no scale: x_cam in a's units is s times x_cam in b's units, so the rotation is R_cb Rᵀ and the
        centre is carried over.
        """
        rotation = cam_from_b.R @ self.R.mT
        center = self.apply(cam_from_b.center[..., None, :])[..., 0, :]
        return SE3(rotation, -(rotation @ center[..., None])[..., 0])
