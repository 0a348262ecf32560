"""How a relative pose regressor is built and trained."""

from dataclasses import dataclass
from typing import Literal

from resect.training.settings import TrainingSettings, check


@dataclass(frozen=True)
class RelativeSettings(TrainingSettings):
    """Settings of a relative pose regressor; the defaults compare with training photos, once."""

    references: Literal["photos", "decoder"] = "photos"
    """What a photo is compared with: the training photo nearest to the teacher's pose, or what a pose decoder says that
    the teacher would think there, which needs no photo and is there at every pose."""
    network: Literal["layers", "transformer"] = "layers"
    """Two layers on both latents in a row, or a transformer whose tokens they are."""
    iterations: int = 1
    """Times that the reference is taken where the last answer stands."""
    hidden: int = 256
    """Width of the second layer; the first is twice as wide."""
    layers: int = 2
    """Of the transformer."""
    heads: int = 4
    """Of its attention."""
    inner: int = 256
    """Width of its linear layers; published 2048."""
    dropout: float = 0.0
    """Share left out in a step."""
    views: int = 8
    """Changed pictures of each photo that the teacher looks at."""
    neighbours: int = 8
    """References are among so many nearest training photos."""
    shift: float = 0.1
    """Decoded references lie around the true pose: standard deviation of each coordinate, parts of the frame's unit."""
    turn_deg: float = 5.0
    """The same of each angle."""
    s_x: float = 0.0
    """Log of the expected error of positions."""
    s_q: float = -3.0
    """The same of quaternions."""
    batch: int = 64
    steps: int = 1500
    rate: float = 1e-3
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        within: dict[str, tuple[float, float]] = {
            "iterations": (1, 100),
            "hidden": (4, 8192),
            "layers": (1, 24),
            "heads": (1, 64),
            "inner": (4, 16384),
            "dropout": (0, 0.9),
            "views": (1, 1000),
            "neighbours": (1, 10_000),
            "shift": (0, 10),
            "turn_deg": (0, 90),
        }
        check(self, within)


@dataclass(frozen=True)
class IterativeSettings(RelativeSettings):
    """Iterative absolute pose regression: a transformer, decoded references, three times."""

    references: Literal["photos", "decoder"] = "decoder"
    network: Literal["layers", "transformer"] = "transformer"
    iterations: int = 3
    dropout: float = 0.1
    rate: float = 5e-4
