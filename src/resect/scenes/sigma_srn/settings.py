"""Settings of a σSRN; the command line is made from these dataclasses. Torch-free."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.training.settings import TrainingSettings, check

_SHARES = "Two equal stages are 0.5 0.5."


@dataclass(frozen=True)
class SigmaSrnSettings(TrainingSettings):
    """A small σSRN that learns on a CPU."""

    code: int = 32
    """Numbers that tell one instance from another; 0 for a scene of one instance, whose weights are its own."""
    width: int = 64
    """Of all layers."""
    state: int = 16
    """Numbers that the marcher remembers along a ray."""
    marches: int = 6
    """Steps of the marcher."""
    weighted: bool = True
    """Colour from all places that a ray was at, weighted by a network of the place (σSRN); else from the last (SRN)."""
    start: float = 0.0
    """Depth at which rays begin, units of the data; 0 begins them half as far as the middle that cameras look at."""
    start_spread: float = 0.0005
    """Standard deviation of it, while training only."""
    sides: tuple[int, ...] = (64,)
    """Images are area-averaged to these sizes, stage by stage."""
    shares: tuple[float, ...] = (1.0,)
    """Part of the steps that each stage takes."""
    batches: tuple[int, ...] = ()
    """Images in a step of each stage; `batch` in all where none are given."""
    pixels: int = 64
    """Most pixels of an image in a step; all where it has fewer."""
    near_object: float = 0.5
    """Chance of the pixels of a step to lie on or beside the object, beyond their share of the image."""
    colour_weight: float = 200.0
    """Of the squared error of colours in [−1, 1]."""
    code_weight: float = 1.0
    """Of the mean square of the codes."""
    depth_weight: float = 10.0
    """Of the mean square of depths behind the camera."""
    views: int = 50
    """Of each instance, evenly spread over those there are; 0 takes all."""
    rays_at_once: int = 16_384
    """Most rays in memory while rendering."""
    batch: int = 32
    """Images in a step."""
    steps: int = 12_000
    """Steps of the optimiser."""
    rate: float = 3e-3
    """Learning rate."""
    warmup: int = 100
    """Steps in which the rate rises from nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within = {
            "code": (0, 4096),
            "width": (2, 4096),
            "state": (1, 4096),
            "marches": (1, 1000),
            "start": (0, 10**6),
            "start_spread": (0, 1),
            "near_object": (0, 1),
            "pixels": (1, 10**7),
            "colour_weight": (0, 10**6),
            "code_weight": (0, 10**6),
            "depth_weight": (0, 10**6),
            "views": (0, 10**6),
            "rays_at_once": (1, 10**8),
        }
        check(self, within)
        if len(self.sides) != len(self.shares) or not self.sides:
            got = f"{len(self.sides)} sides, {len(self.shares)} shares"
            raise ResectError(
                "SigmaSrnSettings.shares", "a share of the steps for each side", got, "Give one for each."
            )
        if not all(4 <= side <= 1024 for side in self.sides):
            raise ResectError("SigmaSrnSettings.sides", "4 to 1024", str(self.sides), "Published are 64 and 128.")
        if self.batches and (len(self.batches) != len(self.sides) or min(self.batches) < 1):
            fix = "Give one for each, or `batch` for all."
            raise ResectError("SigmaSrnSettings.batches", "1 or more for each side, or none", str(self.batches), fix)
        if min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise ResectError("SigmaSrnSettings.shares", "numbers above 0 that sum to 1", str(self.shares), _SHARES)

    def stage_at(self, step: int) -> int:
        """Number of the stage of a step."""
        done = 0.0
        for stage, share in enumerate(self.shares):
            done += share
            if step < done * self.steps - 1e-6:
                return stage
        return len(self.sides) - 1

    def side_at(self, step: int) -> int:
        """Size of the images of a step."""
        return self.sides[self.stage_at(step)]

    def batch_at(self, step: int) -> int:
        """Images in a step."""
        return self.batches[self.stage_at(step)] if self.batches else self.batch


@dataclass(frozen=True)
class SrnSettings(SigmaSrnSettings):
    """A small scene representation network, which σSRN extends: colour from the last place of a ray."""

    weighted: bool = False


@dataclass(frozen=True)
class PublishedSigmaSrnSettings(SigmaSrnSettings):
    """σSRN at its published size, as it is trained when nothing else is asked for; for a GPU."""

    code: int = 256
    width: int = 256
    marches: int = 10
    start: float = 0.05
    near_object: float = 0.0
    batch: int = 64
    steps: int = 200_000
    rate: float = 5e-5
    warmup: int = 0
    schedule: Literal["cosine", "drops", "exponential", "constant"] = "constant"
    pixels: int = 1 << 20


@dataclass(frozen=True)
class CarsSigmaSrnSettings(PublishedSigmaSrnSettings):
    """Published for cars: 5 000 steps at 64 pixels, then 170 000 at 128; for a GPU."""

    sides: tuple[int, ...] = (64, 128)
    shares: tuple[float, ...] = (5 / 175, 170 / 175)
    batches: tuple[int, ...] = (64, 16)
    steps: int = 175_000


@dataclass(frozen=True)
class ChairsSigmaSrnSettings(PublishedSigmaSrnSettings):
    """Published for chairs: 20 000 steps at 64 pixels, then 554 000 at 128; for a GPU."""

    sides: tuple[int, ...] = (64, 128)
    shares: tuple[float, ...] = (20 / 574, 554 / 574)
    batches: tuple[int, ...] = (64, 16)
    steps: int = 574_000


@dataclass(frozen=True)
class ShepardMetzlerSigmaSrnSettings(PublishedSigmaSrnSettings):
    """Published for Shepard–Metzler objects: 352 000 steps at 64 pixels; for a GPU."""

    batch: int = 48
    steps: int = 352_000
