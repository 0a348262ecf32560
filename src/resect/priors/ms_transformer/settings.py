"""How a pose regressor of several places is built and trained: small, for a CPU, and as published."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.priors.regressor_settings import Backbones, RegressorSettings
from resect.training.settings import check


@dataclass(frozen=True)
class MSTransformerSettings(RegressorSettings):
    """Settings of a regressor of several places; the defaults are the small ones, whose backbone is not trained."""

    backbone: Backbones = "mobilenet_v2"
    """Network that looks at the photo; published EfficientNet-B0."""
    pretrained: str = "imagenet"
    """Its weights, as for `posenet`."""
    side: int = 224
    """Pixels of the square picture it sees."""
    share: float = 0.875
    """Part of the photo in it."""
    crop: bool = False
    """Take a square part of the photo, as published, and not all of it, stretched."""
    x_stride: Literal[8, 16, 32] = 16
    """Features that positions are regressed from, at this part of the picture's size."""
    q_stride: Literal[8, 16, 32] = 16
    """The same of rotations; published 8."""
    width: int = 64
    """Of the transformers; published 256."""
    inner: int = 64
    """Of their linear layers; published 256."""
    heads: int = 4
    """Of their attention; published 8."""
    x_encoders: int = 1
    """Encoder layers of the position's transformer; published 6."""
    x_decoders: int = 1
    """Decoder layers of the position's; published 6."""
    q_encoders: int = 1
    """Encoder layers of the rotation's; published 6, or 4 indoors."""
    q_decoders: int = 1
    """Decoder layers of the rotation's; published 6, or 4 indoors."""
    head: int = 256
    """Width of the layer before position and quaternion; published 1024."""
    shared: bool = True
    """One pair of heads for all places, which pose decoders and relative regressors need; else one pair each."""
    dropout: float = 0.1
    """Share left out in a step."""
    normalize: bool = True
    """Regress positions and rotations about the middle of each place's cameras; published: as they are."""
    views: int = 4
    """With a backbone that is not trained: changed pictures of each photo, whose features are computed once; 0 makes
    new ones at each use."""
    equalize: bool = True
    """Draw as many photos of each place, however many it has."""
    classify: float = 1.0
    """Weight of telling places apart."""
    rate: float = 5e-4
    weight_decay: float = 1e-3
    clip: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        layers = {f"{part}_{kind}": (1.0, 24.0) for part in "xq" for kind in ("encoders", "decoders")}
        within: dict[str, tuple[float, float]] = {
            "side": (32, 1024),
            "share": (0.5, 1.0),
            "width": (4, 4096),
            "inner": (4, 16384),
            "heads": (1, 64),
            "head": (4, 16384),
            "dropout": (0, 0.9),
            "views": (0, 1000),
            "classify": (0, 1e6),
            **layers,
        }
        check(self, within)
        if self.width % (2 * self.heads):
            raise ResectError(
                "MSTransformerSettings.width", f"a multiple of twice the {self.heads} heads", str(self.width)
            )
        cells = self.side // min(self.x_stride, self.q_stride)
        if cells > 50:
            raise ResectError(
                "MSTransformerSettings.side", "at most 50 cells a side", str(cells), "Take a larger stride."
            )


@dataclass(frozen=True)
class PublishedMSTransformerSettings(MSTransformerSettings):
    """As published for rooms; for a GPU."""

    backbone: Backbones = "efficientnet_b0"
    share: float = 224 / 256
    crop: bool = True
    q_stride: Literal[8, 16, 32] = 8
    width: int = 256
    inner: int = 256
    heads: int = 8
    x_encoders: int = 6
    x_decoders: int = 6
    q_encoders: int = 4
    q_decoders: int = 4
    head: int = 1024
    normalize: bool = False
    freeze: tuple[str, ...] = ()
    equalize: bool = False
    s_q: float = -3.0
    turn_deg: float = 2.0
    roll_deg: float = 0.0
    colour: tuple[float, float, float, float] = (0.5, 0.5, 0.5, 0.2)
    blur_px: float = 0.0
    left_out: bool = False
    epochs: int = 30
    drop_epochs: int = 10
    batch: int = 8
    rate: float = 1e-4
    schedule: Literal["cosine", "drops", "constant"] = "drops"
    drop_to: float = 0.1
    weight_decay: float = 1e-4
    clip: float = 0.0


@dataclass(frozen=True)
class OutdoorMSTransformerSettings(PublishedMSTransformerSettings):
    """As published for streets and squares, first stage: scenes equalised, no changes of the pictures."""

    q_encoders: int = 6
    q_decoders: int = 6
    equalize: bool = True
    s_x: float = -3.0
    s_q: float = -6.5
    turn_deg: float = 0.0
    colour: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    epochs: int = 600
    drop_epochs: int = 200


@dataclass(frozen=True)
class FinetunedMSTransformerSettings(OutdoorMSTransformerSettings):
    """As published, second stage, begun from the first (`--begin`): positions alone, their transformer and head."""

    freeze: tuple[str, ...] = ("",)
    thaw: tuple[str, ...] = ("x_head", "x_transformer")
    learned: bool = False
    s_x: float = 1.0
    s_q: float = 0.0
    turn_deg: float = 2.0
    colour: tuple[float, float, float, float] = (0.5, 0.5, 0.5, 0.2)
    epochs: int = 60
    drop_epochs: int = 20
