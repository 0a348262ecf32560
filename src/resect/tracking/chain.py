"""Symmetric positive definite systems of a chain: each of n blocks meets its neighbour only."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Chain:
    """A factored block tridiagonal matrix; time and memory grow with the number of blocks.

    Attributes:
        schur: S₀ = D₀, S_i = D_i − U_{i−1}ᵀ S_{i−1}⁻¹ U_{i−1}.
        carry: S_i⁻¹ U_i.
    """

    schur: Float[Tensor, "n b b"]
    carry: Float[Tensor, "m b b"]

    @classmethod
    def factor(cls, diagonal: Float[Tensor, "n b b"], upper: Float[Tensor, "m b b"]) -> "Chain":
        """From the blocks on the diagonal and those right of it."""
        schur, carry = [diagonal[0]], []
        for i in range(len(upper)):
            carry.append(torch.linalg.solve(schur[i], upper[i]))
            schur.append(diagonal[i + 1] - upper[i].mT @ carry[i])
        return cls(torch.stack(schur), torch.stack(carry) if carry else upper)

    def solve(self, right: Float[Tensor, "n b k"]) -> Float[Tensor, "n b k"]:
        """A⁻¹ right."""
        y = [right[0]]
        for i in range(len(self.carry)):
            y.append(right[i + 1] - self.carry[i].mT @ y[i])
        z = torch.linalg.solve(self.schur, torch.stack(y))
        x = [z[-1]]
        for i in range(len(self.carry) - 1, -1, -1):
            x.append(z[i] - self.carry[i] @ x[-1])
        return torch.stack(x[::-1])

    def inverse_diagonal(self) -> Float[Tensor, "n b b"]:
        """Blocks on the diagonal of A⁻¹: Σ_i = S_i⁻¹ + (S_i⁻¹ U_i) Σ_{i+1} (S_i⁻¹ U_i)ᵀ."""
        inverse = torch.linalg.inv(self.schur)
        found = [inverse[-1]]
        for i in range(len(self.carry) - 1, -1, -1):
            found.append(inverse[i] + self.carry[i] @ found[-1] @ self.carry[i].mT)
        return torch.stack(found[::-1])
