"""Robust losses of one residual and the weights that make iterated least squares minimise them.

The loss is Σ ρ(r) with ρ(r) ≈ r²/2 near zero, the weight is ρ'(r)/r. With s the scale: Huber s²(|r|/s − 1/2) beyond s,
Cauchy s²/2·log(1 + r²/s²), Geman–McClure s²/2·r²/(s² + r²), L1 the smooth s²(√(1 + r²/s²) − 1) with a small s.
"""

from dataclasses import dataclass
from typing import Literal, assert_never

import torch
from jaxtyping import Float
from torch import Tensor

RobustKind = Literal["l2", "l1", "huber", "cauchy", "geman_mcclure"]


@dataclass(frozen=True)
class Robust:
    """A robust loss.

    Attributes:
        kind: which one.
        scale: residual at which it starts to forgive.
    """

    kind: RobustKind = "cauchy"
    scale: float = 0.1

    def weight(self, residual: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """ρ'(r)/r, in (0, 1]."""
        if self.kind == "l2":
            return torch.ones_like(residual)
        z = (residual / self.scale).square_()
        match self.kind:
            case "l1":
                return z.add_(1).rsqrt_()
            case "huber":
                return z.clamp_min_(1).rsqrt_()
            case "cauchy":
                return z.add_(1).reciprocal_()
            case "geman_mcclure":
                return z.add_(1).square_().reciprocal_()
            case _ as never:
                assert_never(never)

    def loss(self, residual: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        """ρ(r)."""
        s2 = self.scale**2
        z = (residual / self.scale).square()
        match self.kind:
            case "l2":
                return 0.5 * residual.square()
            case "l1":
                return s2 * ((1 + z).sqrt() - 1)
            case "huber":
                return s2 * torch.where(z <= 1, 0.5 * z, z.clamp_min(1).sqrt() - 0.5)
            case "cauchy":
                return 0.5 * s2 * torch.log1p(z)
            case "geman_mcclure":
                return 0.5 * s2 * z / (1 + z)
            case _ as never:
                assert_never(never)
