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
    agree_shift: float = 0.25
    """Most that the object's places by those detections may be off, half of them, parts of its distance from the
    camera."""
    rounds: int = 10
    """Of reweighting what disagrees."""
    masked: bool = True
    """New photos are compared with the place where objects were detected alone."""

    def __post_init__(self) -> None:
        shares = {"share": (0, 1), "agree_shift": (0, 100)}
        check(self, {"least": (2, 10**6), "agree_deg": (0, 180), **shares, "rounds": (1, 1000)})
