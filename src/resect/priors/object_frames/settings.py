"""How the frames of known objects are found in a place. Torch-free."""

from dataclasses import dataclass

from resect.training.settings import check


@dataclass(frozen=True)
class ObjectFrameSettings:
    """How the frames of known objects are found in a place."""

    least: int = 3
    """Photos that an object must be detected in."""
    agree_deg: float = 25.0
    """Rotations of an object from different photos that agree within this support each other."""
    share: float = 0.3
    """Part of an object's detections that must support its rotation."""
    rounds: int = 10
    """Of reweighting what disagrees."""
    masked: bool = True
    """New photos are compared with the place where objects were detected alone."""

    def __post_init__(self) -> None:
        check(self, {"least": (2, 10**6), "agree_deg": (0, 180), "share": (0, 1), "rounds": (1, 1000)})
