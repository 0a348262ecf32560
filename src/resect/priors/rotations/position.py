"""Where an object stands, as a picture tells it: three numbers that mean the same in pictures of any camera.

In a picture of focal length f, counted in half sides, what stands at (X, Y, Z) in the frame of the picture's camera is
told by f X/Z and f Y/Z, where its origin is seen (the picture's edges are at ±1), and by log(Z / f): twice as far away
through twice the focal length it looks the same.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_LEAST = 1e-9


def told(position: Float[Tensor, "b 3"], focal: Float[Tensor, "b"]) -> Float[Tensor, "b 3"]:
    """The three numbers of positions in front of the picture's camera."""
    depth = position[:, 2].clamp_min(_LEAST)
    seen = focal[:, None] * position[:, :2] / depth[:, None]
    return torch.cat([seen, (depth / focal).log()[:, None]], 1)


def position_of(numbers: Float[Tensor, "b 3"], focal: Float[Tensor, "b"]) -> Float[Tensor, "b 3"]:
    """Inverse of `told`, in the units that it was given."""
    ahead = numbers[:, 2].exp()
    return torch.cat([numbers[:, :2] * ahead[:, None], (focal * ahead)[:, None]], 1)


def covariance_of(
    numbers: Float[Tensor, "b 3"], focal: Float[Tensor, "b"], spread: Float[Tensor, "3"]
) -> Float[Tensor, "b 3 3"]:
    """Of the positions, to first order, where the three numbers have these standard deviations and are independent."""
    there, zero = position_of(numbers, focal), torch.zeros_like(focal)
    ahead = numbers[:, 2].exp()
    columns = torch.stack([ahead, zero, zero], -1), torch.stack([zero, ahead, zero], -1), there
    slope = torch.stack(columns, -1) * spread.to(there)
    return slope @ slope.mT
