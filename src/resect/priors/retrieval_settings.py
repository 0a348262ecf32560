"""What retrieval keeps; apart, so that the command line can list it without PyTorch."""

from dataclasses import dataclass

from resect.errors import ResectError


@dataclass(frozen=True)
class RetrievalSettings:
    """What is kept of each training photo.

    Attributes:
        picture_side: longer side of the small picture, pixels.
        gradient_side: longer side of the picture that gradients are taken of.
        parts: the picture is cut into this many parts each way.
        bins: directions of a histogram.
        sharpness: log-weight of a pose is this many times the likeness.
    """

    picture_side: int = 30
    gradient_side: int = 120
    parts: int = 4
    bins: int = 8
    sharpness: float = 10.0

    def __post_init__(self) -> None:
        limits = {"picture_side": 256, "gradient_side": 1024, "parts": 32, "bins": 64}
        for name, most in limits.items():
            if not 1 <= getattr(self, name) <= most:
                raise ResectError(f"retrieval settings: {name}", f"1 to {most}", str(getattr(self, name)))
