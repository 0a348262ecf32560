"""What a synthetic capture is asked for; apart, so that the command line can list it without PyTorch."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError

CapturePath = Literal["around", "orbit", "forward"]


@dataclass(frozen=True)
class SyntheticSettings:
    """What to photograph, and how badly.

    Attributes:
        photos: how many.
        width: of the photos, pixels.
        height: of the photos, pixels.
        path: "around" walks about the table and looks across the room and out; "orbit" circles the table and looks at
            it; "forward" moves before one wall.
        fov_deg: horizontal field of view.
        distortion: whether the lens bends straight lines (OpenCV model).
        noise: standard deviation of the noise of each channel, image range [0, 1].
        blur_px: standard deviation of the blur, pixels.
        exposure: standard deviation of the log of each photo's gain.
        wall_texture: strength of the texture on walls, floor and ceiling; 0 leaves them plain.
        samples: rays a pixel and axis where one is not enough.
        encoding: "png" or "jpeg" (quality 92).
        seed: of texture, poses and noise.
    """

    photos: int = 40
    width: int = 320
    height: int = 240
    path: CapturePath = "around"
    fov_deg: float = 65.0
    distortion: bool = False
    noise: float = 0.01
    blur_px: float = 0.0
    exposure: float = 0.0
    wall_texture: float = 1.0
    samples: int = 2
    encoding: Literal["png", "jpeg"] = "png"
    seed: int = 0

    def __post_init__(self) -> None:
        bounds = {
            "photos": (1, 100_000),
            "width": (8, 8192),
            "height": (8, 8192),
            "fov_deg": (5.0, 150.0),
            "noise": (0.0, 1.0),
            "blur_px": (0.0, 50.0),
            "exposure": (0.0, 2.0),
            "wall_texture": (0.0, 1.0),
            "samples": (1, 8),
            "seed": (0, 2**31 - 1),
        }
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ResectError(f"synthetic capture: {name}", f"{least} to {most}", str(value))
