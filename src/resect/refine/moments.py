"""The moments of Adam, of its own for each hypothesis."""

import torch
from jaxtyping import Float
from torch import Tensor

_LEAST = 1e-8


class Moments:
    """Running means of gradients and of their squares (Kingma and Ba, "Adam", ICLR 2015).

    Args:
        like: a gradient, for its shape, type and device.
        betas: how much of the means stays at each step.
    """

    def __init__(self, like: Float[Tensor, "h p"], betas: tuple[float, float] = (0.9, 0.999)) -> None:
        self.betas, self.step = betas, 0
        self.mean, self.square = torch.zeros_like(like), torch.zeros_like(like)

    def direction(self, slope: Float[Tensor, "h p"]) -> Float[Tensor, "h p"]:
        """What to go along, against the sign: the mean gradient over its root mean square, both without bias."""
        first, second = self.betas
        self.step += 1
        self.mean = first * self.mean + (1 - first) * slope
        self.square = second * self.square + (1 - second) * slope * slope
        root = (self.square / (1 - second**self.step)).sqrt() + _LEAST
        return self.mean / (1 - first**self.step) / root
