"""From an image's feature map to a function on the sphere.

The sphere's axes are +x to the image's right, +z down, and +y towards the camera, so a turn of the image by an angle is
a turn about y. Only the half that faces the camera is seen.
"""

import functools
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from resect.geometry.harmonics import sphere_size, spherical_harmonics
from resect.geometry.healpix import ring_centers
from resect.nn.spherical.rectify import rectify_sphere

_SIDE, _REACH, _BLUR, _TAPER_DEG = 4, 0.9, 0.2, 75.0


class OrthographicLift(nn.Module):
    """Each point of the half sphere takes features from where it is seen in the map, by learned weights.

    Args:
        channels: of the feature map.
        features: on the sphere.
        size: rows and columns of the feature map.
        lmax: greatest degree.
        classes: how many classes a label may name; 0 for none.
        points: how many of the 104 points a training pass looks at, a random choice as published; 0 looks at all.
    """

    def __init__(self, channels: int, features: int, size: int, lmax: int, classes: int = 0, points: int = 0) -> None:
        super().__init__()
        self.size, self.lmax, self.points = size, lmax, points
        self.mix = nn.Conv2d(channels, features, 1)
        self.label = nn.Embedding(classes, features) if classes else None
        self.resample = nn.Parameter(orthographic_weights(size))

    def forward(
        self,
        features: Float[Tensor, "b c s s"],
        label: Int[Tensor, "b"] | None = None,
        chosen: Int[Tensor, "p"] | None = None,
    ) -> Float[Tensor, "b f k"]:
        """Series of harmonics.

        Args:
            features: of the image.
            label: class of each image, where the layer knows classes.
            chosen: the points to look at; all when not given.
        """
        mixed = self.mix(features)
        if self.label is not None and label is not None:
            mixed = mixed + self.label(label)[:, :, None, None]
        weights: Tensor = self.resample
        harmonics = _half_sphere_harmonics(self.lmax, mixed.dtype, mixed.device)
        if chosen is not None:
            weights, harmonics = weights[:, chosen], harmonics[chosen]
        seen = (mixed.flatten(2) @ weights).relu()
        # The sum over `points` random ones, as published; over all of them, what that sum is on average.
        return seen @ (harmonics * (math.sqrt(self.points or len(harmonics)) / len(harmonics)))

    def choose(self, generator: torch.Generator | None = None) -> Int[Tensor, "p"]:
        """Random points of a training pass."""
        return torch.randperm(self.resample.shape[1], generator=generator)[: self.points]


class PooledLift(nn.Module):
    """The mean of the feature map to harmonics by two linear layers, then rectified on the sphere; knows no layout.

    Args:
        channels: of the feature map.
        features: on the sphere.
        lmax: greatest degree.
        classes: how many classes a label may name; 0 for none.
    """

    def __init__(self, channels: int, features: int, lmax: int, classes: int = 0) -> None:
        super().__init__()
        self.lmax = lmax
        self.first = nn.Linear(channels, features)
        self.label = nn.Embedding(classes, features) if classes else None
        self.second = nn.Linear(features, features * sphere_size(lmax))

    def forward(
        self, features: Float[Tensor, "b c s s"], label: Int[Tensor, "b"] | None = None
    ) -> Float[Tensor, "b f k"]:
        """Series of harmonics, as of `OrthographicLift`."""
        mixed = self.first(features.mean((2, 3)))
        if self.label is not None and label is not None:
            mixed = mixed + self.label(label)
        found = self.second(functional.relu(mixed)).unflatten(1, (-1, sphere_size(self.lmax)))
        return rectify_sphere(found, self.lmax)


def half_sphere() -> Float[Tensor, "p 3"]:
    """The 104 points that face the camera, the equator's included: HEALPix pixels of side 4, in ring order; float64."""
    points = ring_centers(_SIDE)
    return points[points[:, 1] > -1e-9]


def orthographic_weights(size: int) -> Float[Tensor, "c p"]:
    """First weights of map cells (rows first) for each point: a blur about where it is seen, less near the outline."""
    points = half_sphere()
    cell = torch.linspace(-1, 1, size, dtype=torch.float64) if size > 1 else torch.zeros(1, dtype=torch.float64)
    down, right = _REACH * points[:, 2], _REACH * points[:, 0]
    distance = (cell[:, None, None] - down).square() + (cell[None, :, None] - right).square()
    weights = (-distance / (2 * _BLUR**2)).flatten(0, 1).softmax(0)
    colatitude = torch.rad2deg(points[:, 1].clamp(-1, 1).acos())
    return (weights * ((90 - colatitude) / (90 - _TAPER_DEG)).clamp(0, 1)).float()


@functools.cache
def _half_sphere_harmonics(lmax: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "p k"]:
    with torch.inference_mode(False), torch.no_grad():
        return spherical_harmonics(half_sphere(), lmax).to(device, dtype)
