"""Fourier encodings: numbers as sines and cosines of several octaves, so that a network can tell near ones apart."""

import torch
from jaxtyping import Float
from torch import Tensor


def fourier(x: Float[Tensor, "*b d"], octaves: int) -> Float[Tensor, "*b e"]:
    """[x, sin x, cos x, sin 2x, cos 2x, …, sin 2^(n−1) x, cos 2^(n−1) x], d (1 + 2n) numbers; no factor π.

    Args:
        x: values.
        octaves: n; 0 leaves them as they are.
    """
    parts = [x]
    for k in range(octaves):
        parts += [torch.sin(2.0**k * x), torch.cos(2.0**k * x)]
    return torch.cat(parts, -1)
