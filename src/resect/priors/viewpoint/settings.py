"""How a viewpoint network is built and trained: reduced, for minutes on a CPU, and as published."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError


@dataclass(frozen=True)
class ViewpointSettings:
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
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam with a rate that falls by half a cosine, or SGD with momentum 0.9 whose rate falls by steps."""
    batch: int = 32
    """Crops in a step."""
    steps: int = 4000
    """Steps of the optimiser."""
    rate: float = 1e-3
    """Its learning rate."""
    drop_every: int = 20_000
    """Steps after which SGD's rate falls to a tenth."""
    weight_decay: float = 5e-4
    """Of weights, not of biases and norms."""
    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints."""
    memory_gb: float = 4.0
    """Most of the crops to keep in memory; the rest is read again at each use."""
    seed: int = 0
    """Seed of everything random."""
    device: str = "cpu"
    """PyTorch device."""
    tensorboard: bool = True
    """Write TensorBoard files, if it is installed."""

    def __post_init__(self) -> None:
        limits = {
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
            "steps": (1, 100_000_000),
            "drop_every": (1, 100_000_000),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ResectError(f"viewpoint settings: {name}", f"{low} to {high}", str(getattr(self, name)))
        for name in ("azimuth_sigma_deg", "other_sigma_deg", "rate"):
            if not getattr(self, name) > 0:
                raise ResectError(f"viewpoint settings: {name}", "more than 0", str(getattr(self, name)))
        if self.pretrained and self.encoder_width != 64:
            got = str(self.encoder_width)
            raise ResectError("viewpoint settings: encoder_width", "64 with pretrained weights", got)


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
    batch: int = 192
    steps: int = 80_000
    memory_gb: float = 64.0
