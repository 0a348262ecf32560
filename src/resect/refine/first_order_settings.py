"""Settings of iNeRF's steps; the command line is made from them. Torch-free."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError

PixelChoice = Literal["all", "random", "stratified", "gradient", "buckets", "interest_points", "interest_regions"]
"""How pixels are chosen; see `refine/pixels`."""


@dataclass(frozen=True)
class FirstOrderSettings:
    """How iNeRF steps; as they stand, the settings of the paper's real scenes."""

    steps: int = 300
    """Gradient steps."""
    rays: int = 2048
    """Pixels of each step."""
    pixels: PixelChoice = "interest_regions"
    """How they are chosen, afresh for each step; always inside of the target's mask, where there is one."""
    box: int = 5
    """Of interest regions: side of the box that keypoints are grown by, pixels."""
    growths: int = 3
    """Of interest regions: how many times."""
    rate: float = 0.01
    """Learning rate at the start, of translations in units of `length` and of radians."""
    decay: float = 0.8
    """Factor of the rate per 100 steps."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's."""
    frame: Literal["camera", "world"] = "camera"
    """ "camera" turns about the camera's centre, "world" about the world's origin as published code does."""

    def __post_init__(self) -> None:
        for name, low, high in (("steps", 1, 10**7), ("rays", 1, 10**8), ("box", 1, 999), ("growths", 0, 999)):
            if not low <= getattr(self, name) <= high:
                raise ResectError(f"FirstOrderSettings.{name}", f"{low} to {high}", str(getattr(self, name)))
        if not (0 < self.rate < float("inf") and 0 < self.decay <= 1):
            raise ResectError(
                "FirstOrderSettings.rate", "a rate above 0, decay in (0, 1]", f"{self.rate}, {self.decay}"
            )
