"""Convolutions of functions on the sphere and on the rotations; in harmonics they are products of matrices.

A function on the rotations is a series as in `geometry/so3_series`. The first index of its blocks comes from the
filter, the second from the signal: a signal turned by S gives R ↦ f(R S).
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.geometry.harmonics import from_angles, sphere_size
from resect.geometry.so3_series import basis, blocks, unblock


class SphereConvolution(nn.Module):
    """Functions on the sphere with functions on the rotations as result.

    Args:
        features: of the input.
        channels: of the result.
        lmax: greatest degree.
    """

    def __init__(self, features: int, channels: int, lmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        self.filter = nn.Parameter(torch.empty(features, channels, sphere_size(lmax)))  # harmonics of the filters
        nn.init.kaiming_uniform_(self.filter)

    def forward(self, harmonics: Float[Tensor, "b f k"]) -> Float[Tensor, "b c m"]:
        """Series on the rotations."""
        features, channels, _ = self.filter.shape
        signal = harmonics.permute(1, 0, 2) / math.sqrt(features)
        found = []
        for d in range(self.lmax + 1):
            part = slice(d * d, (d + 1) ** 2)
            left, right = self.filter[:, :, part].flatten(1), signal[:, :, part].flatten(1)
            product = (left.mT @ right).view(channels, 2 * d + 1, -1, 2 * d + 1)
            found.append(product.permute(2, 0, 1, 3))
        return unblock(found)


class RotationConvolution(nn.Module):
    """Functions on the rotations with the same; the filter is a value at each of some rotations near the pole's ring.

    Args:
        before: channels of the input.
        after: channels of the result.
        lmax: greatest degree.
    """

    def __init__(self, before: int, after: int, lmax: int) -> None:
        super().__init__()
        self.lmax = lmax
        self.filter = nn.Parameter(torch.randn(before, after, len(ring_rotations())))

    def forward(self, series: Float[Tensor, "b c k"]) -> Float[Tensor, "b d k"]:
        """Series on the rotations."""
        kernel = blocks(self.filter @ _ring_basis(self.lmax, series.dtype, series.device), self.lmax)
        found = []
        for d, (left, right) in enumerate(zip(kernel, blocks(series, self.lmax), strict=True)):
            scale = math.sqrt(len(self.filter) * (2 * d + 1))
            found.append(torch.einsum("xywv,bxwi->byvi", left, right) / scale)
        return unblock(found)


def ring_rotations() -> Float[Tensor, "n 3 3"]:
    """Ry(α) Rx(β) Ry(g − α), float64: seven azimuths, three tilts of the pole up to 22.5°, seven turns g.

    Published are eight turns, of which the first and the last are the same, so that their weights add up.
    """
    azimuth = torch.arange(7, dtype=torch.float64) * (2 * math.pi / 7)
    tilt = torch.arange(1, 4, dtype=torch.float64) * (math.pi / 24)
    turn = torch.arange(7, dtype=torch.float64) * (4 * math.pi / 7)
    a, b, g = torch.meshgrid(azimuth, tilt, turn, indexing="ij")
    return from_angles(a, b, g - a).flatten(0, 2)


@functools.cache
def _ring_basis(lmax: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "n k"]:
    with torch.inference_mode(False), torch.no_grad():
        points = ring_rotations()
        return (basis(points, lmax) / math.sqrt(len(points))).to(device, dtype)
