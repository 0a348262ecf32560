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
    octave = 2.0 ** torch.arange(octaves, dtype=x.dtype, device=x.device)
    angle = x[..., None, :] * octave[:, None]
    return torch.cat([x, torch.stack([angle.sin(), angle.cos()], -2).flatten(-3)], -1)
