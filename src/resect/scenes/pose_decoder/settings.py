"""How a pose decoder is built and trained: small, for minutes on a CPU, and as published."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.training.settings import TrainingSettings, check


@dataclass(frozen=True)
class PoseDecoderSettings(TrainingSettings):
    """Settings of a pose decoder; the defaults are the small ones."""

    octaves: int = 6
    """Octaves that position and quaternion are encoded by; 0 leaves them as they are."""
    widths: tuple[int, ...] = (64, 64, 64)
    """Of the hidden layers; published (64, 128, 256), shallow (64,)."""
    code: int = 8
    """Numbers learned for each scene, where there are several; published: its index, as one number."""
    channels: int = 32
    """Numbers that a render has: the latent's directions that poses change most, in units of what is unexplained."""
    latents: float = 1.0
    """Weight of the squared difference of latents."""
    pose: float = 0.1
    """Weight of the pose that the teacher reads off the decoded latents; published 1, without a gradient."""
    views: int = 8
    """Changed pictures of each photo that the teacher looks at."""
    turn_deg: float = 6.0
    """The camera is turned up to this much, and its pose with it; published 0."""
    roll_deg: float = 6.0
    """The same about its optical axis."""
    colour: tuple[float, float, float, float] = (0.2, 0.2, 0.2, 0.02)
    """Changes of brightness, contrast, saturation and hue; published none."""
    s_x: float = 0.0
    """Log of the expected error of positions."""
    s_q: float = -3.0
    """The same of quaternions."""
    epochs: int = 0
    """Times that every photo is looked at; 0 goes by `steps`."""
    batch: int = 128
    steps: int = 2000
    rate: float = 2e-3
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        within: dict[str, tuple[float, float]] = {
            "octaves": (0, 20),
            "code": (1, 1024),
            "channels": (1, 4096),
            "latents": (0, 1e6),
            "pose": (0, 1e6),
            "views": (1, 1000),
            "turn_deg": (0, 45),
            "roll_deg": (0, 180),
            "epochs": (0, 1_000_000),
        }
        check(self, within)
        if not all(1 <= w <= 8192 for w in self.widths) or len(self.widths) > 16:
            raise ResectError("PoseDecoderSettings.widths", "up to 16 widths of 1 to 8192", str(self.widths))


@dataclass(frozen=True)
class PublishedPoseDecoderSettings(PoseDecoderSettings):
    """As published, but that the pose loss has a gradient and true poses go in; for a GPU."""

    widths: tuple[int, ...] = (64, 128, 256)
    pose: float = 1.0
    views: int = 1
    turn_deg: float = 0.0
    roll_deg: float = 0.0
    colour: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    epochs: int = 300
    batch: int = 32
    rate: float = 1e-3
    schedule: Literal["cosine", "drops", "constant"] = "drops"
    drop_to: float = 0.5
