"""The decoder of Occupancy Networks: points and a code to a logit, through conditional batch normalisation.

Mescheder, Oechsle, Niemeyer, Nowozin, Geiger, "Occupancy networks", CVPR 2019; parameter names are the released ones.
What differs: points may be encoded by sines first (`frequencies` > 0), width and number of blocks are free; the
arithmetic runs over rows of points, so that every layer is one matrix product.
"""

import math
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation over shapes and points, then γ(c)·x + β(c); γ and β linear in the code, 1 and 0 at first."""

    def __init__(self, code: int, width: int) -> None:
        super().__init__()
        self.conv_gamma = nn.Conv1d(code, width, 1)
        self.conv_beta = nn.Conv1d(code, width, 1)
        self.bn = nn.BatchNorm1d(width, affine=False)
        nn.init.zeros_(self.conv_gamma.weight)
        nn.init.ones_(cast(Tensor, self.conv_gamma.bias))
        nn.init.zeros_(self.conv_beta.weight)
        nn.init.zeros_(cast(Tensor, self.conv_beta.bias))

    def forward(self, x: Float[Tensor, "b n w"], code: Float[Tensor, "b c"]) -> Float[Tensor, "b n w"]:
        """Features of points, normalised."""
        gamma, beta = _rows(self.conv_gamma, code)[:, None], _rows(self.conv_beta, code)[:, None]
        mean, variance = self.bn.running_mean, self.bn.running_var
        if self.training or mean is None or variance is None:
            return torch.addcmul(beta, self.bn(x.flatten(0, 1)).view(x.shape), gamma)
        scale = gamma * torch.rsqrt(variance + self.bn.eps)  # one pass over the features in place of two
        return torch.addcmul(beta - mean * scale, x, scale)


class ConditionalBlock(nn.Module):
    """x + two layers, each normalised by the code first; the second layer is zero at first."""

    def __init__(self, code: int, width: int) -> None:
        super().__init__()
        self.bn_0 = ConditionalBatchNorm(code, width)
        self.bn_1 = ConditionalBatchNorm(code, width)
        self.fc_0 = nn.Conv1d(width, width, 1)
        self.fc_1 = nn.Conv1d(width, width, 1)
        nn.init.zeros_(self.fc_1.weight)

    def forward(self, x: Float[Tensor, "b n w"], code: Float[Tensor, "b c"]) -> Float[Tensor, "b n w"]:
        """Features of points."""
        y = _rows(self.fc_0, functional.relu(self.bn_0(x, code)))
        return x + _rows(self.fc_1, functional.relu(self.bn_1(y, code)))


class OccupancyDecoder(nn.Module):
    """Logit of a point being inside, given a shape's code.

    Args:
        code: length of the code.
        width: features of a point; published 256.
        blocks: residual blocks; published 5.
        frequencies: octaves of sines and cosines that a point is encoded by, beside itself; published 0.
    """

    def __init__(self, code: int = 256, width: int = 256, blocks: int = 5, frequencies: int = 0) -> None:
        super().__init__()
        self._blocks, self._frequencies = blocks, frequencies
        self.fc_p = nn.Conv1d(3 + 6 * frequencies, width, 1)
        for i in range(blocks):
            setattr(self, f"block{i}", ConditionalBlock(code, width))
        self.bn = ConditionalBatchNorm(code, width)
        self.fc_out = nn.Conv1d(width, 1, 1)

    def forward(self, points: Float[Tensor, "b n 3"], code: Float[Tensor, "b c"]) -> Float[Tensor, "b n"]:
        """Logits."""
        x = _rows(self.fc_p, self._encoded(points))
        for i in range(self._blocks):
            x = getattr(self, f"block{i}")(x, code)
        return _rows(self.fc_out, functional.relu(self.bn(x, code)))[..., 0]

    def _encoded(self, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n e"]:
        if self._frequencies == 0:
            return points
        octave = math.pi * 2.0 ** torch.arange(self._frequencies, device=points.device, dtype=points.dtype)
        angles = (points[..., None] * octave).flatten(-2)
        return torch.cat([points, angles.sin(), angles.cos()], -1)


def _rows(layer: nn.Conv1d, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
    """A convolution of width 1, over rows."""
    return functional.linear(x, layer.weight[..., 0], layer.bias)
