"""Settings of the inversion of a category."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError

ImageLoss = Literal["mse", "l1", "norm_l1", "norm_l2", "gmsd"]


@dataclass(frozen=True)
class CategorySettings:
    """How a photo is found in a scene that takes codes. Sizes are pixels of the longer image side.

    Attributes:
        optimizer: "lm" takes Levenberg–Marquardt steps on ever fewer starts at ever larger images; "adam" takes every
            start all the way at the last size, as published.
        loss: the answer with the least of it wins; "adam" descends it, "lm" descends squares.
        sides: images of each stage.
        keep: starts that enter each stage; the first are chosen of all at the first size.
        steps: Levenberg–Marquardt steps of each stage.
        margin: what is stepped on is the box of what is not white in the photo, grown by this part of itself on each
            side; losses are of the whole image.
        robust: scale of the Cauchy loss on colours in [0, 1].
        components: principal components of the learned codes that an unknown code is sought in.
        prototypes: learned codes, far from each other, that each start is tried with where the code is unknown.
        closest: learned codes that the best poses are tried with after the first stage.
        code_strength: what a code one standard deviation from the mean costs, in squares of colours in [0, 1] summed
            over the last size.
        apart_deg: starts nearer to a better one than this (and `apart_shift`) are dropped between stages.
        apart_shift: part of the distance from the middle.
        adam_steps: of "adam".
        adam_rate: of "adam", radians and world units alike.
        stop: step |(v / length, ω)| at which a pose has converged.
    """

    optimizer: Literal["lm", "adam"] = "lm"
    loss: ImageLoss = "mse"
    sides: tuple[int, ...] = (16, 32, 48)
    keep: tuple[int, ...] = (8, 3, 2)
    steps: tuple[int, ...] = (10, 8, 5)
    margin: float = 0.3
    robust: float = 1.0
    components: int = 6
    prototypes: int = 6
    closest: int = 64
    code_strength: float = 0.04
    apart_deg: float = 8.0
    apart_shift: float = 0.1
    adam_steps: int = 300
    adam_rate: float = 0.01
    stop: float = 1e-3

    def __post_init__(self) -> None:
        if not len(self.sides) == len(self.keep) == len(self.steps) > 0:
            got = f"{len(self.sides)} sides, {len(self.keep)} keep, {len(self.steps)} steps"
            raise ResectError("CategorySettings", "a number of starts and of steps for each side", got)
        if min(*self.keep, *self.sides, self.components, self.prototypes, self.adam_steps) < 1 or self.closest < 0:
            raise ResectError("CategorySettings", "counts of 1 or more", str(self))
