"""How a render and a photo are compared, each as a function of the image whose difference is the residual.

Every objective here maps H × N × C values (all pixels of a grid in row order, or any pixels for `Difference`) to
features, and its residual is features(render) − features(photo); `linear` says that the derivative of the features is
the features of the derivative. `Gmsd` has no residual: it is for first-order refiners only.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from resect.refine.linearize import Sensitivity, channel_of
from resect.types import Channel, Linearized, Render


class Features(Protocol):
    """An objective that compares features of two images."""

    @property
    def linear(self) -> bool:
        """Whether `of` is linear."""
        ...

    def of(self, values: Float[Tensor, "h n c"]) -> Float[Tensor, "h m"]:
        """The features."""
        ...


@dataclass(frozen=True)
class Difference:
    """Colour itself, at any pixels."""

    channel: Channel = "rgb"
    linear: bool = True
    least_squares: bool = True

    def of(self, values: Float[Tensor, "h n c"]) -> Float[Tensor, "h m"]:
        """The values as they are."""
        return values.flatten(1)

    def __call__(self, render: Render, observed: Render) -> Float[Tensor, "h m"]:
        """Render − photo."""
        return _difference(self, render, observed, self.channel)


@dataclass(frozen=True)
class Blurred:
    """Colour after a Gaussian blur, of render and photo alike: widens the basin, where blurring only one harms it.

    Attributes:
        height: rows of the grid.
        width: columns of the grid.
        sigma_px: standard deviation of the blur.
    """

    height: int
    width: int
    sigma_px: float
    channel: Channel = "rgb"
    linear: bool = True
    least_squares: bool = True

    def of(self, values: Float[Tensor, "h n c"]) -> Float[Tensor, "h m"]:
        """Blurred values."""
        return blur(values.unflatten(1, (self.height, self.width)), self.sigma_px).flatten(1)

    def __call__(self, render: Render, observed: Render) -> Float[Tensor, "h m"]:
        """Blurred render − blurred photo."""
        return _difference(self, render, observed, self.channel)


@dataclass(frozen=True)
class GradientDomain:
    """Differences of neighbouring pixels along x and y: blind to the slowly varying colour error of a scene."""

    height: int
    width: int
    channel: Channel = "rgb"
    linear: bool = True
    least_squares: bool = True

    def of(self, values: Float[Tensor, "h n c"]) -> Float[Tensor, "h m"]:
        """Forward differences."""
        image = values.unflatten(1, (self.height, self.width))
        here = image[:, :-1, :-1]
        return torch.stack([image[:, :-1, 1:] - here, image[:, 1:, :-1] - here], 1).flatten(1)

    def __call__(self, render: Render, observed: Render) -> Float[Tensor, "h m"]:
        """Gradients of the render − gradients of the photo."""
        return _difference(self, render, observed, self.channel)


@dataclass(frozen=True)
class LocalContrast:
    """(value − local mean) / √(local variance + floor²): blind to exposure and shading that change slowly.

    Attributes:
        height: rows of the grid.
        width: columns of the grid.
        sigma_px: window.
        floor: contrast below which nothing is amplified.
    """

    height: int
    width: int
    sigma_px: float = 3.0
    floor: float = 0.05
    channel: Channel = "rgb"
    linear: bool = False
    least_squares: bool = True

    def of(self, values: Float[Tensor, "h n c"]) -> Float[Tensor, "h m"]:
        """Locally normalised values."""
        image = values.unflatten(1, (self.height, self.width))
        mean, square = blur(torch.stack([image, image * image]), self.sigma_px)
        variance = (square - mean * mean).clamp_min(0)
        return ((image - mean) * torch.rsqrt(variance + self.floor**2)).flatten(1)

    def __call__(self, render: Render, observed: Render) -> Float[Tensor, "h m"]:
        """Normalised render − normalised photo."""
        return _difference(self, render, observed, self.channel)


@dataclass(frozen=True)
class Zncc:
    """(value − mean) / standard deviation per channel over all pixels: Σ r² = 2N (1 − correlation)."""

    floor: float = 1e-3
    channel: Channel = "rgb"
    linear: bool = False
    least_squares: bool = True

    def of(self, values: Float[Tensor, "h n c"]) -> Float[Tensor, "h m"]:
        """Globally normalised values."""
        centred = values - values.mean(1, keepdim=True)
        return (centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + self.floor**2)).flatten(1)

    def __call__(self, render: Render, observed: Render) -> Float[Tensor, "h m"]:
        """Normalised render − normalised photo."""
        return _difference(self, render, observed, self.channel)


@dataclass(frozen=True)
class Gmsd:
    """Gradient magnitude similarity deviation; not a least-squares loss, so for first-order refiners only.

    Reference: Xue et al., "Gradient Magnitude Similarity Deviation", TIP 2014, with central differences in place of
    Prewitt filters and images in [0, 1] (their constant 170/255²).
    """

    height: int
    width: int
    channel: Channel = "rgb"
    least_squares: bool = False

    def __call__(self, render: Render, observed: Render) -> Float[Tensor, "h m"]:
        """The deviation, as one number per render."""
        a, b = (self._magnitude(channel_of(r, self.channel)) for r in (render, observed))
        similarity = (2 * a * b + 0.0026) / (a * a + b * b + 0.0026)
        return similarity.var(1, keepdim=True, correction=0).add(1e-12).sqrt()

    def _magnitude(self, values: Tensor) -> Tensor:
        grey = values.mean(-1).unflatten(1, (self.height, self.width))
        dx = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
        dy = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
        return (dx * dx + dy * dy + 1e-12).sqrt().flatten(1)


def linearize(
    objective: Features, shown: Sensitivity, target: Float[Tensor, "1 m"], weight: Float[Tensor, "1 m"] | None = None
) -> Linearized:
    """Residuals of an objective and their derivatives.

    Args:
        target: features of the photo.
        weight: of each row; one everywhere when `None`.
    """
    values, jacobian = shown.values, shown.jacobian
    columns = jacobian.shape[-1]
    if objective.linear:
        features = objective.of(values)
        derivative = objective.of(jacobian.flatten(2)).unflatten(1, (-1, columns))
    else:
        parts = [torch.func.jvp(objective.of, (values,), (jacobian[..., k],)) for k in range(columns)]
        features, derivative = parts[0][0], torch.stack([p[1] for p in parts], -1)
    residual = features - target
    ones = torch.ones_like(residual) if weight is None else weight.to(residual).expand_as(residual)
    return Linearized(residual, derivative, ones, shown.names)


def correlation(a: Float[Tensor, "h m"], b: Float[Tensor, "1 m"]) -> Float[Tensor, "h"]:
    """Cosine of the angle between two feature vectors; 0 where one is constant."""
    scale = a.norm(dim=1) * b.norm(dim=1)
    return (a * b).sum(1) / scale.clamp_min(1e-9)


def blur(image: Float[Tensor, "*b y x c"], sigma_px: float) -> Float[Tensor, "*b y x c"]:
    """Gaussian blur over the two dimensions before the last, edges reflected."""
    height, width, channels = image.shape[-3:]
    rows = gaussian_matrix(height, sigma_px).to(image)
    columns = gaussian_matrix(width, sigma_px).to(image)
    down = (rows @ image.flatten(-2)).unflatten(-1, (width, channels))
    return columns @ down


@lru_cache(maxsize=64)
def gaussian_matrix(size: int, sigma_px: float) -> Float[Tensor, "size size"]:
    """The n × n matrix that blurs a line of n samples, cut off at 4σ, edges reflected (…cb|abc…)."""
    radius = min(math.ceil(4 * sigma_px), 4 * size)
    offset = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offset / max(sigma_px, 1e-6)) ** 2)
    index = torch.arange(size)[:, None] + offset.long()[None]
    period = 2 * max(size - 1, 1)
    folded = index.remainder(period)
    folded = torch.minimum(folded, period - folded) if size > 1 else torch.zeros_like(folded)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, folded, (kernel / kernel.sum()).expand(size, -1))


def _difference(objective: Features, render: Render, observed: Render, channel: Channel) -> Tensor:
    return objective.of(channel_of(render, channel)) - objective.of(channel_of(observed, channel))
