"""Losses of whole pictures, one number a picture; colours in [−1, 1], as the published ones are stated.

`norm_l1` and `norm_l2` divide the sum by one more than the number of values of the photo that are not white. GMSD is of
Xue et al., TIP 2014: Prewitt gradients of the luminance averaged over 2 × 2 pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from resect.refine.category.settings import ImageLoss

_LUMINANCE = (0.299, 0.587, 0.114)
_C = 170 / 255**2  # of GMSD, for values in [0, 1]


def image_loss(
    name: ImageLoss, shown: Float[Tensor, "h n 3"], seen: Float[Tensor, "n 3"], shape: tuple[int, int]
) -> Float[Tensor, "h"]:
    """The loss of each of H pictures, given in [0, 1], rows and columns as in `shape`."""
    if name == "gmsd":
        return gmsd(shown.unflatten(1, shape), seen.unflatten(0, shape))
    difference = 2 * (shown - seen)
    if name == "mse":
        return difference.square().mean((1, 2))
    if name == "l1":
        return difference.abs().mean((1, 2))
    count = 1 + (seen < 1).sum()
    total = difference.abs() if name == "norm_l1" else difference.square()
    return total.sum((1, 2)) / count


def gmsd(shown: Float[Tensor, "h y x 3"], seen: Float[Tensor, "y x 3"]) -> Float[Tensor, "h"]:
    """Standard deviation over the pixels of the similarity of gradient magnitudes; 0 for equal pictures."""
    a, b = _magnitude(shown), _magnitude(seen[None])
    similarity = (2 * a * b + _C) / (a * a + b * b + _C)
    return similarity.var((1, 2), correction=0).add(1e-12).sqrt() - 1e-6


def _magnitude(image: Float[Tensor, "h y x 3"]) -> Float[Tensor, "h y2 x2"]:
    grey = (image * torch.tensor(_LUMINANCE).to(image)).sum(-1, keepdim=False)[:, None]
    half = torch.nn.functional.avg_pool2d(grey, 2)
    line = torch.ones(3).to(image) / 3
    slope = torch.tensor([1.0, 0.0, -1.0]).to(image)
    kernel = torch.stack([line[:, None] * slope, slope[:, None] * line])[:, None]
    gradient = torch.nn.functional.conv2d(half, kernel, padding=1)
    return (gradient.square().sum(1) + 1e-12).sqrt()
