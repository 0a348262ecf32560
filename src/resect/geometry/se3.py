"""Rigid transforms `a_from_b`: x_a = R x_b + t. Tangent vectors are ξ = (v, ω): translation first, then rotation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry import so3


@dataclass(frozen=True, eq=False)
class SE3:
    """A batch of rigid transforms.

    `a_from_b @ b_from_c` composes, `a_from_b @ points_b` moves points (..., n, 3) or one point a transform (..., 3)
    when the transform has batch dimensions; see `apply`.
    """

    R: Float[Tensor, "*b 3 3"]
    t: Float[Tensor, "*b 3"]

    @property
    def batch_shape(self) -> torch.Size:
        """Shape of the batch."""
        return self.t.shape[:-1]

    def __len__(self) -> int:
        return self.t.shape[0]

    def __getitem__(self, index: object) -> "SE3":
        return SE3(self.R[index], self.t[index])  # type: ignore[index]

    def __matmul__(self, other: "SE3") -> "SE3":
        return SE3(self.R @ other.R, (self.R @ other.t[..., None])[..., 0] + self.t)

    def apply(self, points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
        """Moves n points per transform: x_a = R x_b + t; batch dimensions broadcast."""
        return points @ self.R.mT + self.t[..., None, :]

    def inverse(self) -> "SE3":
        """`b_from_a`."""
        rt = self.R.mT
        return SE3(rt, -(rt @ self.t[..., None])[..., 0])

    @property
    def center(self) -> Float[Tensor, "*b 3"]:
        """Origin of frame a in frame b: of a `cam_from_world`, the camera centre in the world."""
        return -(self.R.mT @ self.t[..., None])[..., 0]

    @property
    def axis(self) -> Float[Tensor, "*b 3"]:
        """The z axis of frame a in frame b: of a `cam_from_world`, the optical axis in the world."""
        return self.R[..., 2, :]

    @property
    def finite(self) -> Bool[Tensor, "*b"]:
        """Which of them are all numbers."""
        return self.t.isfinite().all(-1) & self.R.isfinite().all((-2, -1))

    @classmethod
    def identity(cls, *shape: int, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> "SE3":
        """The identity, repeated to a batch shape."""
        eye = torch.eye(3, dtype=dtype, device=device).expand(*shape, 3, 3)
        return cls(eye, torch.zeros(*shape, 3, dtype=dtype, device=device))

    @classmethod
    def exp(cls, xi: Float[Tensor, "*b 6"]) -> "SE3":
        """R = exp(ω), t = V(ω) v, with V = I + B[ω] + C[ω]² (see `so3.coefficients`)."""
        v, omega = xi[..., :3], xi[..., 3:]
        a, b, c = (x[..., None, None] for x in so3.coefficients((omega * omega).sum(-1)))
        k = so3.hat(omega)
        k2 = k @ k
        eye = torch.eye(3, dtype=xi.dtype, device=xi.device)
        return cls(eye + a * k + b * k2, ((eye + b * k + c * k2) @ v[..., None])[..., 0])

    def log(self) -> Float[Tensor, "*b 6"]:
        """ξ with exp(ξ) = self and |ω| ≤ π."""
        omega = so3.log(self.R)
        theta2 = (omega * omega).sum(-1)
        a, b, _ = so3.coefficients(theta2)
        small = theta2 < 1e-2
        safe = torch.where(small, torch.ones_like(theta2), theta2)
        series = 1 / 12 + theta2 / 720 + theta2**2 / 30240 + theta2**3 / 1209600
        d = torch.where(small, series, (1 - a / (2 * b)) / safe)
        k = so3.hat(omega)
        eye = torch.eye(3, dtype=omega.dtype, device=omega.device)
        v_inverse = eye - 0.5 * k + d[..., None, None] * (k @ k)
        return torch.cat([(v_inverse @ self.t[..., None])[..., 0], omega], -1)

    def adjoint(self) -> Float[Tensor, "*b 6 6"]:
        """Ad with T exp(ξ) T⁻¹ = exp(Ad ξ): [[R, [t]ₓR], [0, R]] for ξ = (v, ω)."""
        top = torch.cat([self.R, so3.hat(self.t) @ self.R], -1)
        return torch.cat([top, torch.cat([torch.zeros_like(self.R), self.R], -1)], -2)

    def inverse_left_jacobian(self) -> Float[Tensor, "*b 6 6"]:
        """d log(exp(δ) @ self) / dδ at δ = 0.

        With ξ = log(self) and a = ad(ξ): I − a/2 + p(θ) a² + q(θ) a⁴. Reference: Bullo and Murray, "Proportional
        derivative (PD) control on the Euclidean group", 1995; the series near θ = 0 are the Bernoulli numbers'.
        """
        xi = self.log()
        w, v = so3.hat(xi[..., 3:]), so3.hat(xi[..., :3])
        a = torch.cat([torch.cat([w, v], -1), torch.cat([torch.zeros_like(w), w], -1)], -2)
        theta2 = (xi[..., 3:] * xi[..., 3:]).sum(-1)
        small = theta2 < 0.05
        safe2 = torch.where(small, torch.ones_like(theta2), theta2)
        theta = safe2.sqrt()
        fall = theta.cos() - 1
        p_series = 1 / 12 - theta2**2 / 30240 - theta2**3 / 604800 - theta2**4 / 15966720
        q_series = -1 / 720 - theta2 / 15120 - theta2**2 / 403200 - theta2**3 / 11975040
        p = torch.where(small, p_series, 2 / safe2 + (theta + 3 * theta.sin()) / (4 * theta * fall))
        q = torch.where(small, q_series, 1 / safe2**2 + (theta + theta.sin()) / (4 * safe2 * theta * fall))
        a2 = a @ a
        eye = torch.eye(6, dtype=xi.dtype, device=xi.device)
        return eye - 0.5 * a + p[..., None, None] * a2 + q[..., None, None] * (a2 @ a2)

    def retract(self, delta: Float[Tensor, "*b 6"], about: Literal["camera", "world"] | Tensor = "camera") -> "SE3":
        """A step δ = (v, ω) from a `cam_from_world`.

        Args:
            delta: step, world units and radians.
            about: "camera" is exp(δ) @ T, δ in the camera's frame, turning about the camera's centre; "world" is
                T @ exp(δ), turning about the world's origin; a point (3,) in the world turns about that point, which
                for an object keeps it in view.
        """
        if isinstance(about, Tensor):
            to_pivot = SE3(torch.eye(3, dtype=self.t.dtype, device=self.t.device), about.to(self.t))
            return self @ to_pivot @ SE3.exp(delta) @ to_pivot.inverse()
        return SE3.exp(delta) @ self if about == "camera" else self @ SE3.exp(delta)

    def matrix(self) -> Float[Tensor, "*b 4 4"]:
        """Homogeneous 4×4 matrix."""
        last = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=self.t.dtype, device=self.t.device)
        top = torch.cat([self.R, self.t[..., None]], -1)
        return torch.cat([top, last.expand(*self.batch_shape, 1, 4)], -2)

    @classmethod
    def from_matrix(cls, matrix: Float[Tensor, "*b r 4"]) -> "SE3":
        """From (..., 3, 4) or (..., 4, 4); the rotation is taken as it is."""
        return cls(matrix[..., :3, :3], matrix[..., :3, 3])

    def to(self, target: torch.dtype | torch.device | str) -> "SE3":
        """Another dtype or device."""
        return SE3(self.R.to(target), self.t.to(target))

    def double(self) -> "SE3":
        """Float64."""
        return SE3(self.R.double(), self.t.double())

    def float(self) -> "SE3":
        """Float32."""
        return SE3(self.R.float(), self.t.float())

    @classmethod
    def stack(cls, items: "Sequence[SE3]") -> "SE3":
        """Stacks transforms of equal batch shape along a new first dimension."""
        return SE3(torch.stack([x.R for x in items]), torch.stack([x.t for x in items]))

    @classmethod
    def cat(cls, items: "Sequence[SE3]") -> "SE3":
        """Concatenates along the first batch dimension."""
        return SE3(torch.cat([x.R for x in items]), torch.cat([x.t for x in items]))


def pivot(point: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 6 6"]:
    """From (p, ω), how a point moves and how all turns about it, to the twist (v, ω): v = p + point × ω.

    Its inverse is that of the opposite point.
    """
    still = torch.eye(3, dtype=point.dtype, device=point.device).expand(*point.shape, 3)
    return SE3(still, point).adjoint()
