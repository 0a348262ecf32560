"""Functions on SO(3) as trigonometric polynomials of three angles: the cheapest way to values at many rotations.

At R = Ry(α) Rx(β) Ry(γ) a series ⟨c, B(R)⟩ of degree L (`geometry/so3_series`) is

    f = Σ_κμν T_κμν w_κ(β) w_μ(α) w_ν(γ),   w_m(θ) = cos mθ for m ≥ 0, sin |m|θ for m < 0,

since D(R) = Z(α) J Z(β) J Z(γ) (`geometry/harmonics`) and Z holds such waves. T, (2L + 1)³ numbers, depends on c alone;
a value then takes (2L + 1)³ products and no harmonics of R. Everything is linear in c, and differentiable in it.
"""

import functools
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from resect.geometry.harmonics import swap, to_angles
from resect.geometry.so3_series import blocks


def waves(angle: Float[Tensor, "*b"], lmax: int) -> Float[Tensor, "*b w"]:
    """w_m, m = −lmax … lmax."""
    order = torch.arange(-lmax, lmax + 1, device=angle.device)
    phase = angle[..., None] * order.abs()
    return torch.where(order < 0, phase.sin(), phase.cos())


def trigonometric(series: Float[Tensor, "*b k"], lmax: int) -> Float[Tensor, "*b w w w"]:
    """T, indices in the order κ, μ, ν: of β, α, γ."""
    flat = series.reshape(-1, series.shape[-1])
    square = torch.stack([pad(c, (lmax - d,) * 4) for d, c in enumerate(blocks(flat, lmax))], 1)
    tables, fold = _tables(lmax, series.dtype, series.device)
    mixed = torch.einsum("bdmn,sdkmn->bskmn", square, tables).unflatten(1, (2, 2))
    found = torch.einsum("pum,bpqkmn,qvn->bkuv", fold, mixed, fold)
    return found.reshape(*series.shape[:-1], *found.shape[1:])


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


def _both(beta: Float[Tensor, "n"], alpha: Float[Tensor, "n"], lmax: int) -> Float[Tensor, "n ww"]:
    return (waves(beta, lmax)[:, :, None] * waves(alpha, lmax)[:, None]).flatten(1)


@functools.cache
def _tables(lmax: int, dtype: torch.dtype, device: torch.device) -> tuple[Float[Tensor, "4 d w w w"], Tensor]:
    """J Z(β) J as waves of β, for each degree, as it is and with its columns, rows and both reversed; and the foldings
    of rows −m and m to cosines and to sines.

    [Z(α) X Z(γ)]_mn = cos mα (cos nγ X_mn + sin nγ X_m,−n) − sin mα (cos nγ X_−m,n + sin nγ X_−m,−n).
    """
    with torch.inference_mode(False), torch.no_grad():
        size, order = 2 * lmax + 1, torch.arange(-lmax, lmax + 1)
        middle = torch.zeros(lmax + 1, size, size, size, dtype=torch.float64)
        for d in range(lmax + 1):
            j = swap(d, torch.float64, torch.device("cpu")) * (2 * d + 1) ** 0.25
            part = slice(lmax - d, lmax + d + 1)
            for k in range(d + 1):
                up, down = j[:, d + k], j[:, d - k]
                middle[d, lmax + k, part, part] = torch.outer(up, up) + (torch.outer(down, down) if k else 0)
                if k:
                    middle[d, lmax - k, part, part] = torch.outer(down, up) - torch.outer(up, down)
        plain = [middle, middle.flip(-1), -middle.flip(-2), -middle.flip(-2, -1)]
        cosine = (order[:, None] == order.abs()).double()
        sine = (order[:, None] == -order.abs()).double() * order.sign()
        return torch.stack(plain).to(device, dtype), torch.stack([cosine, sine]).to(device, dtype)
