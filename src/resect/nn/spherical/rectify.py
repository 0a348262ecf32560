"""Rectifying a function: to values on a grid, their positive part, and back to the series, by separable transforms.

On the grid α = 2πa/4N, β = π(b + ½)/2N, γ = 2πc/4N a series ⟨h, B⟩ of degree L is

    g(α, β, γ) = Σ_μν wave_μ(α) wave_ν(γ) F_μν(β),   F_μν(β) = Σ_l √(2l + 1) (a_μν h_μν + b_μν h_−μ−ν),

with wave_μ = cos μα for μ ≥ 0 and sin |μ|α below. F takes 2 (L + 1) products a number since D(Rx(β)) mixes no sines
with cosines; each wave takes 2L + 1. A direct transform takes Σ (2l + 1)² a value: for L = 6, N = 10, 26 times as many.

The way back is the adjoint, weighted by β's quadrature. Without the rectifier both together are the identity.
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from resect.geometry.harmonics import spherical_harmonics, wigner_d_of_angles
from resect.geometry.so3_series import blocks, series_size, unblock

GAIN = math.sqrt(2)  # keeps the mean square of a normal variable


def rectify(series: Float[Tensor, "*b k"], lmax: int, resolution: int) -> Float[Tensor, "*b k"]:
    """√2 max(f, 0) of functions on SO(3), band-limited again.

    Args:
        series: f = ⟨series, B⟩ / √k, so that values are about as large as coefficients.
        lmax: greatest degree.
        resolution: N; the grid has 4N × 2N × 4N points. At least lmax + 1; more has less aliasing.
    """
    flat = series.reshape(-1, series.shape[-1])
    values = to_grid(flat, lmax, resolution)
    return from_grid(values.relu_(), lmax, resolution).mul(GAIN).view_as(series)


def to_grid(series: Float[Tensor, "n k"], lmax: int, resolution: int) -> Float[Tensor, "a c m"]:
    """Values ⟨series, B⟩ at the grid: α, γ, and then series and β as one axis."""
    tables = _tables(lmax, resolution, series.dtype, series.device)
    side = 2 * lmax + 1
    square = torch.stack([_padded(block, lmax) for block in blocks(series, lmax)], 1)  # n, l, μ, ν
    both = torch.cat([square, square.flip(-2, -1)], 1).flatten(2)
    waves = torch.bmm(both.permute(2, 0, 1), tables[0])  # μν, n, β
    about = tables[2] @ waves.view(side, -1)  # α, (ν, n, β)
    return torch.bmm(tables[2].expand(len(about), -1, -1), about.view(len(about), side, -1))


def from_grid(values: Float[Tensor, "a c m"], lmax: int, resolution: int) -> Float[Tensor, "n k"]:
    """The series of a function given at the grid: its projection, exact up to degree 2 N − 1 − lmax."""
    tables = _tables(lmax, resolution, values.dtype, values.device)
    side = 2 * lmax + 1
    about = torch.bmm(tables[2].mT.expand(len(values), -1, -1), values)  # α, ν, (n, β)
    waves = (tables[2].mT @ about.view(len(values), -1)).view(side * side, -1, 2 * resolution)
    both = torch.bmm(waves, tables[1]).view(side, side, -1, 2, lmax + 1)  # μ, ν, n, which, l
    square = (both[..., 0, :] + both[..., 1, :].flip(0, 1)).permute(2, 3, 0, 1)
    inner = [square[:, d, lmax - d : lmax + d + 1, lmax - d : lmax + d + 1] for d in range(lmax + 1)]
    return unblock(inner)


def rectify_sphere(
    harmonics: Float[Tensor, "*b k"], lmax: int, grid: tuple[int, int] = (20, 19)
) -> Float[Tensor, "*b k"]:
    """√2 max(f, 0) of functions on the sphere, f = Σ Yₗₘ cₗₘ / √((2l + 1) (lmax + 1)), band-limited again.

    Args:
        harmonics: c.
        lmax: greatest degree.
        grid: colatitudes (even) and azimuths.
    """
    up, down = _sphere_tables(lmax, grid, harmonics.dtype, harmonics.device)
    return (harmonics @ up).relu_() @ down * GAIN


def _padded(block: Float[Tensor, "n m m"], lmax: int) -> Float[Tensor, "n s s"]:
    margin = lmax - block.shape[-1] // 2
    return functional.pad(block, (margin, margin, margin, margin))


def quadrature(count: int) -> Float[Tensor, "b"]:
    """Weights of β = π(b + ½)/count that integrate polynomials of cos β below degree `count` over the sphere, sum 1."""
    half = torch.arange(count // 2, dtype=torch.float64)
    odd = 2 * torch.arange(count, dtype=torch.float64) + 1
    phase = odd[:, None] * (2 * half + 1) * (math.pi / (2 * count))
    weight = (odd * (math.pi / (2 * count))).sin() * (phase.sin() / (2 * half + 1)).sum(1)
    return weight / weight.sum()


@functools.cache
def _tables(lmax: int, resolution: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """β's table there (μν, which l, β) and back, and waves (angle, μ); scaled so that back ∘ there is the identity."""
    with torch.inference_mode(False), torch.no_grad():
        count = 2 * resolution
        beta = (torch.arange(count, dtype=torch.float64) + 0.5) * (math.pi / count)
        zero = torch.zeros_like(beta)
        kept = torch.zeros(2, lmax + 1, 2 * lmax + 1, 2 * lmax + 1, count, dtype=torch.float64)
        order = torch.arange(-lmax, lmax + 1)
        for degree in range(lmax + 1):
            d = math.sqrt(2 * degree + 1) * wigner_d_of_angles(zero, beta, zero, degree)
            inside = order[lmax - degree : lmax + degree + 1].abs()
            cosines = d[:, degree + inside][:, :, degree + inside]
            sines = d[:, degree - inside][:, :, degree - inside]
            sines[:, degree, degree] = 0  # μ = ν = 0 is its own opposite
            rows = slice(lmax - degree, lmax + degree + 1)
            kept[0, degree, rows, rows] = cosines.permute(1, 2, 0)
            kept[1, degree, rows, rows] = sines.permute(1, 2, 0)
        sign = torch.where(order < 0, -1.0, 1.0).double()
        kept[0] *= sign[None, None, :, None]
        kept[1] *= sign[None, :, None, None]
        kept = kept.flatten(0, 1).flatten(1, 2)  # which l, μν, β
        angle = torch.arange(2 * count, dtype=torch.float64) * (math.pi / count)
        phase = angle[:, None] * order.abs()
        waves = torch.where(order < 0, phase.sin(), phase.cos())
        root = math.sqrt(series_size(lmax))
        there = kept.permute(1, 0, 2) / root
        back = (kept * quadrature(count)).permute(1, 2, 0) * (root / (2 * count) ** 2)
        return tuple(x.contiguous().to(device, dtype) for x in (there, back, waves))  # type: ignore[return-value]


@functools.cache
def _sphere_tables(
    lmax: int, grid: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> tuple[Float[Tensor, "k n"], Float[Tensor, "n k"]]:
    with torch.inference_mode(False), torch.no_grad():
        beta = (torch.arange(grid[0], dtype=torch.float64) + 0.5) * (math.pi / grid[0])
        alpha = torch.arange(grid[1], dtype=torch.float64) * (2 * math.pi / grid[1])
        b, a = torch.meshgrid(beta, alpha, indexing="ij")
        direction = torch.stack([b.sin() * a.sin(), b.cos(), b.sin() * a.cos()], -1).flatten(0, 1)
        values = spherical_harmonics(direction, lmax)
        degree = torch.cat([torch.full((2 * d + 1,), d) for d in range(lmax + 1)]).double()
        scale = ((2 * degree + 1) * (lmax + 1)).sqrt()
        weight = quadrature(grid[0]).repeat_interleave(grid[1]) / grid[1]
        there, back = (values / scale).mT, weight[:, None] * values * scale
        return there.contiguous().to(device, dtype), back.contiguous().to(device, dtype)
