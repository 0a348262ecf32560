"""How a viewpoint network is built and trained: reduced, for minutes on a CPU, and as published."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.training.settings import TrainingSettings, check


@dataclass(frozen=True)
class ViewpointSettings(TrainingSettings):
    """Settings of a viewpoint network; the defaults are the reduced ones, for a CPU."""

    encoder: Literal["resnet18", "resnet34", "resnet50"] = "resnet18"
    """Network that looks at the crop; published an AlexNet, which has no weights in a living format."""
    encoder_width: int = 16
    """Channels after its first convolution; full width 64."""
    pretrained: str = ""
    """File of torchvision's ImageNet weights for the encoder; needs its full width."""
    side: int = 64
    """Pixels of the crop's side, its aspect not kept; published 227."""
    hidden: int = 256
    """Width of the two fully connected layers; published 4096."""
    dropout: float = 0.2
    """Share of their features left out in a step; published 0.5."""
    bins: int = 72
    """Bins of each angle, over the full circle; published 360."""
    azimuth_sigma_deg: float = 8.0
    """Decay of the azimuth's soft labels; published 5."""
    azimuth_band_deg: float = 25.0
    """How far they reach; published 15."""
    other_sigma_deg: float = 5.0
    """Decay of the soft labels of elevation and tilt; published 3."""
    other_band_deg: float = 15.0
    """How far they reach; published 5."""
    normalize: bool = True
    """Soft labels sum to 1; published: to what they sum to, which weighs the azimuth about twice."""
    between: bool = True
    """Angles between the middles of bins, by the mean about a peak; published: the middle itself."""
    windows: int = 16
    """Parts of the circle that give a candidate each, as published."""
    apart_deg: float = 45.0
    """Least distance of two azimuth peaks, as published."""
    mirror: bool = True
    """Also learn from each crop flipped, azimuth and tilt negated: a mirrored object is one of its category too."""
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        within = {
            "encoder_width": (4, 512),
            "side": (16, 1024),
            "hidden": (4, 8192),
            "dropout": (0, 0.9),
            "bins": (8, 3600),
            "windows": (1, self.bins),
            "apart_deg": (0, 180),
            "azimuth_band_deg": (0, 179),
            "other_band_deg": (0, 179),
            "batch": (2, 65536),
        }
        check(self, within, positive=("azimuth_sigma_deg", "other_sigma_deg"))
        if self.pretrained and self.encoder_width != 64:
            got = str(self.encoder_width)
            raise ResectError("ViewpointSettings.encoder_width", "64 with pretrained weights", got)


@dataclass(frozen=True)
class PublishedViewpointSettings(ViewpointSettings):
    """As published (Render for CNN, ICCV 2015) but for the encoder; for a GPU."""

    encoder_width: int = 64
    side: int = 227
    hidden: int = 4096
    dropout: float = 0.5
    bins: int = 360
    azimuth_sigma_deg: float = 5.0
    azimuth_band_deg: float = 15.0
    other_sigma_deg: float = 3.0
    other_band_deg: float = 5.0
    normalize: bool = False
    between: bool = False
    optimizer: Literal["adam", "sgd"] = "sgd"
    schedule: Literal["cosine", "drops", "constant"] = "drops"
    batch: int = 192
    steps: int = 80_000
    memory_gb: float = 64.0
