"""Where an unknown code is sought: among the learned codes, along their principal components."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.spread import farthest_first


@dataclass(frozen=True, eq=False)
class CodeSpace:
    """The learned codes as a normal distribution in few coordinates.

    Attributes:
        codes: the learned ones.
        mean: their mean.
        axes: principal components, each as long as its standard deviation.
    """

    codes: Float[Tensor, "n d"]
    mean: Float[Tensor, "d"]
    axes: Float[Tensor, "k d"]

    @classmethod
    def of(cls, codes: Float[Tensor, "n d"], components: int) -> "CodeSpace":
        """Of the learned codes; no more components than they span."""
        mean = codes.mean(0)
        _, size, axes = torch.linalg.svd((codes - mean).double(), full_matrices=False)
        k = min(components, len(codes) - 1, int((size > 1e-6 * size.max().clamp_min(1e-30)).sum()))
        scaled = size[:k, None] * axes[:k] / max(1, len(codes) - 1) ** 0.5
        return cls(codes, mean, scaled.to(codes))

    def coordinates(self, codes: Float[Tensor, "h d"]) -> Float[Tensor, "h k"]:
        """Standard deviations from the mean along each component."""
        length = self.axes.square().sum(1).clamp_min(1e-30)
        return (codes - self.mean) @ self.axes.mT / length

    def code(self, base: Float[Tensor, "h d"], coordinates: Float[Tensor, "h k"]) -> Float[Tensor, "h d"]:
        """Codes with these coordinates and, beside the components, what `base` has there."""
        return base + (coordinates.to(base) - self.coordinates(base)) @ self.axes

    def spread(self, count: int) -> Int[Tensor, "m"]:
        """Numbers of learned codes: the one nearest to the mean, then each the one farthest from those before."""
        at = self.coordinates(self.codes)
        return farthest_first(at, min(count, len(at)), int(at.norm(dim=1).argmin()))
