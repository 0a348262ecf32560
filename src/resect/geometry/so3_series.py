"""Functions on SO(3) as finite series of harmonics: f(R) = ⟨c, B(R)⟩.

B(R) holds the blocks √(2l + 1) Dˡ(R), l = 0 … lmax, one after another, each row by row: Σ (2l + 1)² numbers, 455 for
lmax 6. It is orthonormal with respect to Haar measure of total 1. Conventions of D are those of `geometry/harmonics`.

Turns of the argument, its inverse and derivatives of f are again series, so none of them needs a grid.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.harmonics import generators, to_angles, wigner_d, wigner_d_of_angles

Blocks = list[Tensor]  # block of degree l: (*b, 2l + 1, 2l + 1)


def series_size(lmax: int) -> int:
    """How many numbers a series has: Σ (2l + 1)² = (lmax + 1)(2 lmax + 1)(2 lmax + 3) / 3."""
    return (lmax + 1) * (2 * lmax + 1) * (2 * lmax + 3) // 3


def basis(rotation: Float[Tensor, "*b 3 3"], lmax: int) -> Float[Tensor, "*b k"]:
    """B(R): orthonormal functions on SO(3)."""
    angles = to_angles(rotation)
    return unblock([math.sqrt(2 * d + 1) * wigner_d_of_angles(*angles, d) for d in range(lmax + 1)])


def blocks(series: Float[Tensor, "*b k"], lmax: int) -> Blocks:
    """The (2l + 1) × (2l + 1) blocks of a series."""
    parts = series.split([(2 * d + 1) ** 2 for d in range(lmax + 1)], -1)
    return [part.unflatten(-1, (2 * d + 1, 2 * d + 1)) for d, part in enumerate(parts)]


def unblock(parts: Blocks) -> Float[Tensor, "*b k"]:
    """Inverse of `blocks`."""
    return torch.cat([part.flatten(-2) for part in parts], -1)


def evaluate(
    series: Float[Tensor, "*b k"], rotation: Float[Tensor, "n 3 3"], lmax: int, *, chunk: int = 8192
) -> Float[Tensor, "*b n"]:
    """Values of series at any rotations; at most `chunk` bases are held at once."""
    return torch.cat([series @ basis(part, lmax).mT for part in rotation.split(chunk)], -1)


def of_inverse(series: Float[Tensor, "*b k"], lmax: int) -> Float[Tensor, "*b k"]:
    """The series of R ↦ f(R⁻¹)."""
    return unblock([block.mT for block in blocks(series, lmax)])


def of_product(
    series: Float[Tensor, "*b k"],
    lmax: int,
    *,
    left: Float[Tensor, "*#b 3 3"] | None = None,
    right: Float[Tensor, "*#b 3 3"] | None = None,
) -> Float[Tensor, "*b k"]:
    """The series of R ↦ f(left R right); one rotation for all series, or one for each."""
    found = blocks(series, lmax)
    if left is not None:
        found = [wigner_d(left.to(series), d).mT @ block for d, block in enumerate(found)]
    if right is not None:
        found = [block @ wigner_d(right.to(series), d).mT for d, block in enumerate(found)]
    return unblock(found)


def gradient(series: Float[Tensor, "*b k"], lmax: int) -> Float[Tensor, "*b 3 k"]:
    """The three series of ∂f(exp(ω) R)/∂ω at ω = 0, per radian. Taken twice, it gives second derivatives.

    D(exp(ω) R) ≈ (1 + ω · X) D(R), and ⟨c, X D⟩ = ⟨Xᵀ c, D⟩.
    """
    found = [
        generators(d, series.dtype, series.device).mT @ block[..., None, :, :]
        for d, block in enumerate(blocks(series, lmax))
    ]
    return unblock(found)
