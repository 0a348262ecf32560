"""Settings of the inversion of a category; the command line is made from them. Torch-free."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError

ImageLoss = Literal["mse", "l1", "norm_l1", "norm_l2", "gmsd"]

_EACH = "Give as many of each, such as sides 16 32, keep 8 2, steps 10 5."
_MOST = 100_000
_POSITIVE = ("robust", "adam_rate")


@dataclass(frozen=True)
class CategorySettings:
    """How a photo is found in a scene that takes codes. Sizes are pixels of the longer image side."""

    optimizer: Literal["lm", "adam"] = "lm"
    """ "lm" takes Levenberg–Marquardt steps on ever fewer starts at ever larger images; "adam" takes every start all
    the way at the last size, as published."""
    loss: ImageLoss = "mse"
    """The answer with the least of it wins; "adam" descends it, "lm" descends squares."""
    sides: tuple[int, ...] = (16, 32, 48)
    """Images of each stage."""
    keep: tuple[int, ...] = (8, 3, 2)
    """Starts that enter each stage; the first are chosen of all at the first size."""
    steps: tuple[int, ...] = (10, 8, 5)
    """Levenberg–Marquardt steps of each stage."""
    margin: float = 0.3
    """What is stepped on is the box of what is not white in the photo, grown by this part of itself on each side;
    losses are of the whole image."""
    robust: float = 1.0
    """Scale of the Cauchy loss on colours in [0, 1]."""
    components: int = 6
    """Principal components of the learned codes that an unknown code is sought in."""
    prototypes: int = 6
    """Learned codes, far from each other, that each start is tried with where the code is unknown."""
    closest: int = 64
    """Learned codes that the best poses are tried with after the first stage."""
    code_strength: float = 0.04
    """What a code one standard deviation from the mean costs, in squares of colours in [0, 1] summed over the last
    size."""
    apart_deg: float = 8.0
    """Starts nearer to a better one than this (and `apart_shift`) are dropped between stages."""
    apart_shift: float = 0.1
    """Part of the distance from the middle."""
    adam_steps: int = 300
    """Of "adam"."""
    adam_rate: float = 0.01
    """Of "adam", radians and world units alike."""
    stop: float = 1e-3
    """Step |(v / length, ω)| at which a pose has converged."""

    def __post_init__(self) -> None:
        if not len(self.sides) == len(self.keep) == len(self.steps) > 0:
            got = f"{len(self.sides)} sides, {len(self.keep)} keep, {len(self.steps)} steps"
            raise ResectError("CategorySettings", "a number of starts and of steps for each side", got, _EACH)
        least = {"sides": 4, "keep": 1, "steps": 0, "components": 1, "prototypes": 1, "closest": 0, "adam_steps": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if not low <= (min(value) if isinstance(value, tuple) else value) <= _MOST:
                raise ResectError(
                    f"CategorySettings.{name}", f"{low} to {_MOST}", str(value), "The defaults are sound."
                )
        for name in ("robust", "adam_rate", "apart_deg", "apart_shift", "margin", "code_strength", "stop"):
            if not (0 <= getattr(self, name) < float("inf")) or (name in _POSITIVE and not getattr(self, name)):
                expected = "more than 0" if name in _POSITIVE else "0 or more"
                got = str(getattr(self, name))
                raise ResectError(f"CategorySettings.{name}", expected, got, "The defaults are sound.")
