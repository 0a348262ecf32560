"""From an image's feature map to a function on the rotations: lift, convolution, rectifier, convolution."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from resect.nn.spherical.convolution import RotationConvolution, SphereConvolution
from resect.nn.spherical.lift import OrthographicLift, PooledLift
from resect.nn.spherical.rectify import rectify

Projection = Literal["orthographic", "pooled"]
_CHOICES = 8  # of random points, averaged in evaluation


class SphericalHead(nn.Module):
    """A function on SO(3) that turns as the signal on the sphere does: a signal turned by S gives R ↦ f(R S).

    Args:
        channels: of the feature map.
        size: its rows and columns.
        lmax: greatest degree of the result.
        features: on the sphere.
        hidden: functions on the rotations between the convolutions.
        resolution: of the grid that the rectifier works on.
        classes: how many classes a label may name; 0 for none.
        projection: how the map comes to the sphere.
        points: how many random points of the sphere a training pass looks at; 0 looks at all.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        lmax: int = 6,
        features: int = 512,
        hidden: int = 8,
        resolution: int = 10,
        classes: int = 0,
        projection: Projection = "orthographic",
        points: int = 0,
    ) -> None:
        super().__init__()
        self.lmax, self.resolution = lmax, resolution
        self.lift: OrthographicLift | PooledLift = (
            OrthographicLift(channels, features, size, lmax, classes, points)
            if projection == "orthographic"
            else PooledLift(channels, features, lmax, classes)
        )
        self.first = SphereConvolution(features, hidden, lmax)
        self.second = RotationConvolution(hidden, 1, lmax)

    def forward(
        self, features: Float[Tensor, "b c s s"], label: Int[Tensor, "b"] | None = None
    ) -> Float[Tensor, "b k"]:
        """The series of each image's function; always in the precision of the weights.

        With `points`, evaluation averages a fixed few choices of them: the mean of what training has seen.
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(self.first.filter.dtype)
            if isinstance(self.lift, PooledLift) or not self.lift.points:
                return self.turn(self.lift(features, label))
            if self.training:
                return self.turn(self.lift(features, label, self.lift.choose()))
            g = torch.Generator().manual_seed(0)
            found = [self.turn(self.lift(features, label, self.lift.choose(g))) for _ in range(_CHOICES)]
            return torch.stack(found).mean(0)

    def turn(self, harmonics: Float[Tensor, "b f k"]) -> Float[Tensor, "b m"]:
        """From the signal on the sphere on."""
        return self.second(rectify(self.first(harmonics), self.lmax, self.resolution))[:, 0]
