"""Settings that networks for distributions over SO(3) share."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.training.settings import TrainingSettings, check

ResNetName = Literal["resnet18", "resnet34", "resnet50", "resnet101"]


@dataclass(frozen=True)
class RotationSettings(TrainingSettings):
    """What the network sees, and what it is told."""

    encoder: ResNetName = "resnet18"
    """Network that looks at the picture."""
    encoder_width: int = 16
    """Channels after its first convolution; published 64."""
    stages: int = 3
    """How many of its four stages are used; each but the first halves the feature map."""
    pretrained: str = ""
    """Weights of the encoder: a file, an address with its checksum, or "imagenet"; needs its full width."""
    normalize: bool = True
    """Colours as ImageNet's weights expect them; published: as they are, in [0, 1]."""
    side: int = 64
    """Pixels of the picture's side."""
    class_label: bool = False
    """Tell the network the object's category."""
    equivalents: Literal["one", "random"] = "one"
    """For a symmetric object: learn the one rotation of the label, or another of its equivalents at each look."""
    roll_deg: float = 0.0
    """Turn training pictures about the optical axis by up to this angle either way, with their labels."""
    augment: int = 0
    """So many pictures made of the photos: camera turned (by `roll_deg`), box moved, light changed; 0 for none."""
    density_level: int = 4
    """Level of the grid that answers are given on: 3 is 7.5° fine, 4 is 3.75°, 5 is 1.9°."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within = {
            "encoder_width": (4, 512),
            "stages": (1, 4),
            "side": (16, 1024),
            "roll_deg": (0, 180),
            "augment": (0, 10_000_000),
            "density_level": (1, 6),
            "batch": (2, 65536),
        }
        check(self, within)
        if self.pretrained and self.encoder_width != 64:
            got = str(self.encoder_width)
            fix = "Published weights have that width: encoder_width 64."
            raise ResectError(f"{type(self).__name__}.encoder_width", "64 with pretrained weights", got, fix)
