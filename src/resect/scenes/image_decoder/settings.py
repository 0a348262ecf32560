"""How an image decoder is built and trained."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.training.settings import TrainingSettings, check


@dataclass(frozen=True)
class ImageDecoderSettings(TrainingSettings):
    """Settings of an image decoder; the defaults are the small ones."""

    size: int = 64
    """Pixels of the picture's side."""
    widths: tuple[int, ...] = (256, 512)
    """Of the hidden layers; published (512, 1024, 2048)."""
    turn_deg: float = 4.0
    """The camera is turned up to this much, and its pose with it; published 0."""
    epochs: int = 0
    """Times that every photo is looked at; 0 goes by `steps`."""
    batch: int = 16
    steps: int = 2000
    rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, {"size": (8, 512), "turn_deg": (0, 45), "epochs": (0, 1_000_000)})
        if not all(1 <= w <= 8192 for w in self.widths) or len(self.widths) > 16:
            raise ResectError("ImageDecoderSettings.widths", "up to 16 widths of 1 to 8192", str(self.widths))


@dataclass(frozen=True)
class PublishedImageDecoderSettings(ImageDecoderSettings):
    """As published; for a GPU."""

    widths: tuple[int, ...] = (512, 512, 1024, 2048)
    turn_deg: float = 0.0
    epochs: int = 20
    batch: int = 8
    rate: float = 1e-2
    schedule: Literal["cosine", "drops", "constant"] = "constant"
