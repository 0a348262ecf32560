"""How a pose regressor is built and trained: small, for minutes on a CPU, and as published."""

from dataclasses import dataclass
from typing import Literal

from resect.priors.regressor_settings import Backbones, RegressorSettings
from resect.training.settings import check


@dataclass(frozen=True)
class PoseNetSettings(RegressorSettings):
    """Settings of a pose regressor; the defaults are the small ones, whose backbone is not trained."""

    backbone: Backbones = "mobilenet_v2"
    """Network that looks at the photo."""
    pretrained: str = "imagenet"
    """Its weights: a file, an address with #sha256=…, "imagenet" to fetch torchvision's, or empty for random ones."""
    side: int = 128
    """Pixels of the square picture it sees; published 224."""
    share: float = 1.0
    """Part of the photo's width and height in it; the rest is room to turn the camera in training, where pictures
    else go on as they end. Published 224/256."""
    crop: bool = False
    """Take a square part of the photo, as published, and not all of it, stretched."""
    stride: Literal[8, 16, 32] = 16
    """Which features are used: at this part of the picture's size; published 32. Earlier features differ less between
    photos and rendered views."""
    reduce: int = 32
    """For the rotation, channels that features are reduced to before they are laid out in a row, which keeps where in
    the picture they are; 0 takes their mean over the picture, as published and as for the position."""
    whiten: bool = True
    """Bring features to mean 0 and variance 1 first."""
    hidden: int = 256
    """Width of the two latents, of position and of rotation."""
    dropout: float = 0.1
    """Share of the latents left out in a step."""
    normalize: bool = True
    """Regress positions about the cameras' middle in units of their spread and rotations about their mean; published:
    positions in world units and rotations as they are."""
    kin: bool = True
    """With a backbone that is not trained: remember how training pictures look, and let those most alike to a photo
    have their share in its pose, as far as photos that were left out say."""
    views: int = 8
    """With a backbone that is not trained: pictures of each photo, all but one of them changed, whose features are
    computed once (rendered views as they are); 0 makes new ones at each use."""
    rendered: float = 0.5
    """Share of a batch that is drawn from rendered views, where there are any."""
    rate: float = 1e-3
    weight_decay: float = 1e-2
    memory_gb: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        within: dict[str, tuple[float, float]] = {
            "side": (32, 2048),
            "share": (0.5, 1.0),
            "reduce": (0, 4096),
            "hidden": (4, 8192),
            "dropout": (0, 0.9),
            "views": (0, 1000),
            "rendered": (0, 1),
        }
        check(self, within)


@dataclass(frozen=True)
class PublishedPoseNetSettings(PoseNetSettings):
    """As published with pose auto-encoders for indoor rooms, all of it trained; for a GPU.

    Random crops become turns of the camera by as much, so that they do not spoil the poses.
    """

    side: int = 224
    share: float = 224 / 256
    crop: bool = True
    stride: Literal[8, 16, 32] = 32
    reduce: int = 0
    kin: bool = False
    whiten: bool = False
    normalize: bool = False
    freeze: tuple[str, ...] = ()
    s_x: float = 0.0
    s_q: float = -3.0
    turn_deg: float = 2.0
    roll_deg: float = 0.0
    colour: tuple[float, float, float, float] = (0.5, 0.5, 0.5, 0.2)
    blur_px: float = 0.0
    left_out: bool = False
    epochs: int = 300
    drop_epochs: int = 100
    schedule: Literal["cosine", "drops", "constant"] = "drops"
    drop_to: float = 0.5
    weight_decay: float = 1e-4


@dataclass(frozen=True)
class OutdoorPoseNetSettings(PublishedPoseNetSettings):
    """As published for streets and squares, where positions are metres apart."""

    s_x: float = -3.0
    s_q: float = -6.5
