"""Settings of the tracker; the command line is made from this dataclass. Torch-free."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackSettings:
    """How frames are followed. Lengths are parts of the object's distance where nothing else is said."""

    shift: float = 0.1
    """How unsteadily the camera moves, per frame; the default suits video, frames far apart need more."""
    turn_deg: float = 5.0
    """The same of its turns."""
    gate: float = 27.9
    """Greatest squared Mahalanobis distance from the prediction; 27.9 turns one of 10 000 right poses away."""
    max_jump: float | None = None
    """Greatest distance from the last pose, in world units, beside the gate; the published rule is 0.1 m at 30 frames a
    second."""
    noise_shift: float = 0.02
    """Standard deviation of a pose whose refiner states no covariance, along the optical axis."""
    noise_turn_deg: float = 1.0
    """The same of its rotation."""
    patience: int = 1
    """Frames in a row without a pose after which the object is searched for anew; 0 searches in the same frame."""
    forget: int = 10
    """Frames without a pose after which the motion is forgotten."""
    keyframe_turn_deg: float = 10.0
    """A pose turned this far from every key-frame becomes one."""
    keyframe_shift: float = 0.1
    """The same for its shift."""
    max_keyframes: int = 32
    """The oldest are dropped first."""
    count: int = 256
    """Hypotheses asked of the prior when searching."""
