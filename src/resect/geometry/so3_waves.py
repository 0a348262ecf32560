"""Functions on SO(3) as trigonometric polynomials of three angles: the cheapest way to values at many rotations.

At R = Ry(α) Rx(β) Ry(γ) a series ⟨c, B(R)⟩ of degree L (`geometry/so3_series`) is

    f = Σ_κμν T_κμν w_κ(β) w_μ(α) w_ν(γ),   w_m(θ) = cos mθ for m ≥ 0, sin |m|θ for m < 0,

since D(R) = Z(α) J Z(β) J Z(γ) (`geometry/harmonics`) and Z holds such waves. T, (2L + 1)³ numbers, depends on c alone;
a value then takes (2L + 1)³ products and no harmonics of R. Everything is linear in c, and differentiable in it.
"""

import functools
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from resect.geometry.harmonics import swap, to_angles
from resect.geometry.so3_series import blocks, series_size


def waves(angle: Float[Tensor, "*b"], lmax: int) -> Float[Tensor, "*b w"]:
    """w_m, m = −lmax … lmax."""
    order = torch.arange(-lmax, lmax + 1, device=angle.device)
    phase = angle[..., None] * order.abs()
    return torch.where(order < 0, phase.sin(), phase.cos())


def trigonometric(series: Float[Tensor, "*b k"], lmax: int) -> Float[Tensor, "*b w w w"]:
    """T, indices in the order κ, μ, ν: of β, α, γ."""
    flat, size = series.reshape(-1, series.shape[-1]), 2 * lmax + 1
    index, tables = _tables(lmax, series.dtype, series.device)
    parts = pad(flat, (0, 1)).index_select(1, index).view(len(flat), -1, size * size)
    found = torch.bmm(parts.permute(2, 0, 1), tables)  # μν, b, κ
    return found.permute(1, 2, 0).reshape(*series.shape[:-1], size, size, size)


def evaluate(waved: Float[Tensor, "*b w w w"], rotation: Float[Tensor, "n 3 3"]) -> Float[Tensor, "*b n"]:
    """Values of T at any rotations; (2L + 1)² numbers are held for each."""
    lmax = waved.shape[-1] // 2
    alpha, beta, gamma = (angle.to(waved) for angle in to_angles(rotation))
    return (_both(beta, alpha, lmax) @ waved.flatten(-3, -2) * waves(gamma, lmax)).sum(-1)


class Fibres(NamedTuple):
    """What values at products start · Ry(tilt) need of P starts and of the tilts.

    Attributes:
        both: products of waves of β and of α.
        cosine: cos νγ, and
        sine: sin νγ, ν = −lmax … lmax.
        tilt: waves of the tilts.
    """

    both: Float[Tensor, "p ww"]
    cosine: Float[Tensor, "p w"]
    sine: Float[Tensor, "p w"]
    tilt: Float[Tensor, "t w"]


def fibres_of(starts: Float[Tensor, "p 3 3"], tilt: Float[Tensor, "t"], lmax: int) -> Fibres:
    """Tables for `evaluate_on_fibres`; tilts in radians."""
    alpha, beta, gamma = to_angles(starts)
    phase = gamma[:, None] * torch.arange(-lmax, lmax + 1, dtype=gamma.dtype, device=gamma.device)
    return Fibres(_both(beta, alpha, lmax), phase.cos(), phase.sin(), waves(tilt, lmax))


def evaluate_on_fibres(waved: Float[Tensor, "*b w w w"], fibres: Fibres) -> Float[Tensor, "*b p t"]:
    """Values of T at all products: (2L + 1)³ products a start, and 2L + 1 a value."""
    inner = fibres.both @ waved.flatten(-3, -2)
    return (inner * fibres.cosine + inner.flip(-1) * fibres.sine) @ fibres.tilt.mT


def evaluate_in_fibres(
    waved: Float[Tensor, "w w w"], fibres: Fibres, start: Int[Tensor, "n"], tilt: Int[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """Values of T at some of these products, by the numbers of start and tilt."""
    inner = fibres.both[start] @ waved.flatten(-3, -2)
    waves_of = inner * fibres.cosine[start] + inner.flip(-1) * fibres.sine[start]
    return (waves_of * fibres.tilt[tilt]).sum(-1)


def _both(beta: Float[Tensor, "n"], alpha: Float[Tensor, "n"], lmax: int) -> Float[Tensor, "n ww"]:
    return (waves(beta, lmax)[:, :, None] * waves(alpha, lmax)[:, None]).flatten(1)


@functools.cache
def _tables(
    lmax: int, dtype: torch.dtype, device: torch.device
) -> tuple[Int[Tensor, "sdww"], Float[Tensor, "ww sd w"]]:
    """Which numbers of a series, and by what, make each T_κμν; the number after the last stands for zero.

    With X the waves of β in J Z(β) J, [Z(α) X Z(γ)]_mn is

        cos mα (cos nγ X_mn + sin nγ X_m,−n) − sin mα (cos nγ X_−m,n + sin nγ X_−m,−n),

    so that c_mn with m = ±μ and n = ±ν counts: four for each degree, by X_pq with p = ±|μ| and q = ±|ν|.
    """
    with torch.inference_mode(False), torch.no_grad():
        order = torch.arange(-lmax, lmax + 1)
        place, middle = _series_places(lmax), _middles(lmax)
        there, back, one = order + lmax, lmax - order, torch.ones_like(order)
        up, down = order.abs() + lmax, lmax - order.abs()
        negative = torch.where(order < 0, -1, 1)
        rows = (there, up, one), (back, down, order.sign())  # m, p, and the sign of X
        columns = (there, up, negative), (back, down, order.abs().sign())
        index, tables = [], []
        for (m, p, row_sign), (n, q, column_sign) in product(rows, columns):
            index.append(place[:, m][:, :, n])
            tables.append(middle[:, :, p][..., q] * row_sign[:, None] * column_sign)
        return (
            torch.cat(index).flatten().to(device),
            torch.cat(tables).permute(2, 3, 0, 1).flatten(0, 1).contiguous().to(device, dtype),
        )


def _series_places(lmax: int) -> Int[Tensor, "d w w"]:
    """Where c_mn of each degree stands in a series; beyond the degree, the place after its end."""
    found = torch.full((lmax + 1, 2 * lmax + 1, 2 * lmax + 1), series_size(lmax))
    for d, block in enumerate(blocks(torch.arange(series_size(lmax)).double(), lmax)):
        found[d, lmax - d : lmax + d + 1, lmax - d : lmax + d + 1] = block
    return found


def _middles(lmax: int) -> Float[Tensor, "d w w w"]:
    """J Z(β) J of each degree as waves of β, the second index; float64."""
    middle = torch.zeros(lmax + 1, *(2 * lmax + 1,) * 3, dtype=torch.float64)
    for d in range(lmax + 1):
        j = swap(d, torch.float64, torch.device("cpu")) * (2 * d + 1) ** 0.25
        part = slice(lmax - d, lmax + d + 1)
        for k in range(d + 1):
            up, down = j[:, d + k], j[:, d - k]
            middle[d, lmax + k, part, part] = torch.outer(up, up) + (torch.outer(down, down) if k else 0)
            if k:
                middle[d, lmax - k, part, part] = torch.outer(down, up) - torch.outer(up, down)
    return middle
