"""Another prior narrowed by what is known of the pose: guesses far from it are dropped, the others weighed by it."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.protocols import Prior
from resect.types import Hypotheses, Photo

_FAR = 30.0  # squared distance in units of σ that one pose in 25 000 exceeds by chance (χ², six degrees of freedom)


@dataclass(frozen=True, eq=False)
class Near:
    """A prior's guesses that agree with what is known of the pose.

    Attributes:
        prior: what guesses.
        cam_from_world: the pose near which the photo was taken (no batch dimension).
        information: of δ = (v, ω) in exp(δ) @ cam_from_world, world units and radians; zero rows mean unknown.
    """

    prior: Prior
    cam_from_world: SE3
    information: Float[Tensor, "6 6"]

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        """The guesses within about five σ, none of them if all are farther off."""
        guess = self.prior.propose(photo, count, generator)
        if len(guess) == 0:
            return guess
        apart = squared_distance(guess.cam_from_world, self.cam_from_world, self.information)
        log_weight = guess.log_weight - 0.5 * apart.to(guess.log_weight)
        return replace(guess, log_weight=log_weight).take((apart < _FAR).nonzero()[:, 0])


def squared_distance(poses: SE3, mean: SE3, information: Float[Tensor, "6 6"]) -> Float[Tensor, "h"]:
    """δᵀ Λ δ of each pose, with pose = exp(δ) @ mean."""
    delta = (poses.double() @ mean.double().inverse()).log()
    return (delta @ information.double() * delta).sum(-1)
