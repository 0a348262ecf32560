"""How an occupancy network is built and trained: reduced, for half an hour on a CPU, and as published."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.training.settings import TrainingSettings, check


@dataclass(frozen=True)
class OccupancySettings(TrainingSettings):
    """Settings of an occupancy network; the defaults are the reduced ones, for a CPU."""

    input: Literal["image", "points"] = "image"
    """What a shape is inferred from: one picture, or points on its surface."""
    encoder: Literal["resnet18", "resnet34", "resnet50"] = "resnet18"
    """Network that looks at the picture."""
    encoder_width: int = 24
    """Channels after its first convolution; published 64."""
    pool: bool = False
    """Average its last feature map, as published, in place of taking all of it."""
    pretrained: str = ""
    """File of torchvision's ImageNet weights for the encoder; needs its full width."""
    side: int = 64
    """Pixels of the picture's side."""
    framing: Literal["object", "whole"] = "object"
    """Cut the picture to the square around the object, or take it whole, as published."""
    code: int = 128
    """Length of a shape's code."""
    width: int = 64
    """Features of a point in the decoder; published 256."""
    blocks: int = 4
    """Residual blocks of the decoder; published 5."""
    frequencies: int = 6
    """Octaves of sines that a point is encoded by; published 0."""
    cloud: int = 300
    """Points of the input cloud, where the input is points."""
    cloud_noise: float = 0.005
    """Standard deviation of the noise on the input cloud."""
    points: int = 192
    """Points drawn from a shape in a step."""
    near: float = 0.7
    """Share of them near the surface, where the data have such points."""
    mirror: bool = True
    """Also learn from each picture flipped, of the shape with z negated; answers are the mean of both."""
    threshold: float = 0.5
    """Probability from which a point counts as inside."""
    batch: int = 16
    steps: int = 16_000
    rate: float = 2e-3
    final_rate: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        within = {
            "encoder_width": (4, 512),
            "side": (32, 1024),
            "code": (4, 4096),
            "width": (4, 4096),
            "blocks": (1, 32),
            "frequencies": (0, 12),
            "cloud": (16, 100_000),
            "points": (16, 1_000_000),
            "batch": (2, 65536),
            "near": (0, 1),
            "threshold": (1e-6, 1 - 1e-6),
        }
        check(self, within)
        if self.pretrained and self.encoder_width != 64:
            got = str(self.encoder_width)
            raise ResectError("OccupancySettings.encoder_width", "64 with pretrained weights", got)


@dataclass(frozen=True)
class PublishedOccupancySettings(OccupancySettings):
    """As published (Occupancy Networks, CVPR 2019, single image); for a GPU. Training had no end: stop it by hand."""

    encoder_width: int = 64
    pool: bool = True
    side: int = 224
    framing: Literal["object", "whole"] = "whole"
    code: int = 256
    width: int = 256
    blocks: int = 5
    frequencies: int = 0
    points: int = 2048
    near: float = 0.0
    mirror: bool = False
    batch: int = 64
    steps: int = 500_000
    rate: float = 1e-4
    final_rate: float = 1.0
    threshold: float = 0.2
    validate_every: int = 20_000
    memory_gb: float = 64.0
