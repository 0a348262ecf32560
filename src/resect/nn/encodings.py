"""Fourier encodings: numbers as sines and cosines of several octaves, so that a network can tell near ones apart."""

import torch
from jaxtyping import Float
from torch import Tensor

_DOUBLED = 6


def fourier(x: Float[Tensor, "*b d"], octaves: int) -> Float[Tensor, "*b e"]:
    """[x, sin x, cos x, sin 2x, cos 2x, …, sin 2^(n−1) x, cos 2^(n−1) x], d (1 + 2n) numbers; no factor π.

    Args:
        x: values.
        octaves: n; 0 leaves them as they are.
    """
    parts = [x]
    sin, cos = x.sin(), x.cos()
    for n in range(octaves):
        if n and n < _DOUBLED:  # sin 2a = 2 sin a cos a: a fraction of the time, at the cost of 2^n rounding errors
            sin, cos = 2 * sin * cos, 1 - 2 * sin * sin
        elif n:
            sin, cos = (2.0**n * x).sin(), (2.0**n * x).cos()
        parts += [sin, cos]
    return torch.cat(parts, -1)


def fourier_tangent(x: Float[Tensor, "*b d"], dx: Float[Tensor, "*b d k"], octaves: int) -> Float[Tensor, "*b e k"]:
    """The derivative of `fourier` along K tangents."""
    encoded, parts = fourier(x, octaves), [dx]
    for n in range(octaves):
        sin, cos = encoded[..., (1 + 2 * n) * x.shape[-1] :][..., : 2 * x.shape[-1]].chunk(2, -1)
        parts += [2.0**n * cos[..., None] * dx, -(2.0**n) * sin[..., None] * dx]
    return torch.cat(parts, -2)
