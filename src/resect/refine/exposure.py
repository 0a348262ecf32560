"""Gain and bias per channel between render and photo, eliminated by variable projection.

photo ≈ gain · render + bias. For each pose the best gain and bias have a closed form; their columns are then removed
from the normal equations by a Schur complement, so the step is the one that a solver with explicit columns takes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_LEAST = 1e-20


@dataclass(frozen=True)
class Exposure:
    """How far the exposure of a photo may differ from the scene's.

    Attributes:
        gain_sigma: expected spread of the gain about 1; a weak pull that keeps it determined.
        bias_sigma: expected spread of the bias about 0.
    """

    gain_sigma: float = 0.3
    bias_sigma: float = 0.1


def fit(
    values: Float[Tensor, "h n c"], observed: Float[Tensor, "#h n c"], weight: Float[Tensor, "h n c"], prior: Exposure
) -> Float[Tensor, "h c 2"]:
    """Gain and bias of each channel: weighted least squares with the prior."""
    blocks = gram(values, weight, prior)
    pulled = torch.stack([weight * values * (observed - values), weight * (observed - values)], -1).sum(1)
    correction = torch.linalg.solve(blocks, pulled[..., None])[..., 0]
    one = torch.tensor([1.0, 0.0], dtype=values.dtype, device=values.device)
    return correction + one


def gram(values: Float[Tensor, "h n c"], weight: Float[Tensor, "h n c"], prior: Exposure) -> Float[Tensor, "h c 2 2"]:
    """Normal matrix of gain and bias, one block a channel; the prior is as strong as σ² = 1e-5 of every pixel.

    Where no pixel has weight, as when an object has left the picture, the prior alone decides.
    """
    a, b, c = (weight * values * values).sum(1), (weight * values).sum(1), weight.sum(1)
    pull = 1e-5 * c + _LEAST
    first = torch.stack([a + pull / prior.gain_sigma**2, b], -1)
    return torch.stack([first, torch.stack([b, c + pull / prior.bias_sigma**2], -1)], -2)


def eliminate(
    matrix: Float[Tensor, "h p p"],
    jacobian: Float[Tensor, "h n c p"],
    values: Float[Tensor, "h n c"],
    weight: Float[Tensor, "h n c"],
    prior: Exposure,
) -> Float[Tensor, "h p p"]:
    """The normal matrix of the pose with gain and bias eliminated: A − Cᵀ D⁻¹ C."""
    weighted = weight[..., None] * jacobian
    cross = torch.stack([(weighted * values[..., None]).sum(1), weighted.sum(1)], -2)
    block = gram(values, weight, prior)
    return matrix - (cross.mT @ torch.linalg.solve(block, cross)).sum(1)
