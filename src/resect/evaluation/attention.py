"""Where a network looked, laid over the photo."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_COLD, _HOT = (0.1, 0.1, 0.4), (1.0, 0.75, 0.1)


def overlay(
    image: Float[Tensor, "h w 3"], weights: Float[Tensor, "i j"], strength: float = 0.6
) -> Float[Tensor, "h w 3"]:
    """The photo, tinted from dark blue where a network hardly looked to yellow where it looked most.

    Args:
        image: RGB in [0, 1].
        weights: of the cells that the picture was divided into, not negative.
        strength: of the tint.
    """
    share = (weights / weights.max().clamp_min(1e-12))[None, None].to(image)
    large = functional.interpolate(share, size=image.shape[:2], mode="bilinear", align_corners=False)[0, 0, :, :, None]
    tint = torch.tensor(_COLD).to(image) * (1 - large) + torch.tensor(_HOT).to(image) * large
    return (1 - strength) * image + strength * tint
