"""How PoseCNN is built and trained: small, for a CPU, and as published. Torch-free."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.training.settings import TrainingSettings, check


@dataclass(frozen=True)
class PoseCnnSettings(TrainingSettings):
    """A small PoseCNN that learns on a CPU."""

    backbone: str = "mobilenet_v2"
    """Network that looks at the picture; "tf_mobilenet_v2" for weights that were trained in TensorFlow."""
    pretrained: str = ""
    """Its weights: "imagenet", a file, or an address with a checksum; random where not given."""
    whitened: bool = True
    """Colours less ImageNet's mean, over its spread; the published network takes them as they are."""
    held: tuple[str, ...] = ()
    """Parameters that are not trained, by the beginning of their names."""
    width: int = 320
    """Of the picture, pixels: of the training photos' camera; others are resampled to it."""
    height: int = 240
    """Of the picture, pixels."""
    strides: tuple[int, ...] = (4, 8, 16)
    """Of the backbone's maps that are looked at."""
    cell: int = 4
    """Pixels along a side of a cell that has a label and a direction of its own."""
    label_width: int = 48
    """Channels before the labels."""
    centre_width: int = 64
    """Channels before directions and depths."""
    mixed: bool = True
    """Whether a 3×3 convolution follows the sum of the maps."""
    roi_width: int = 64
    """Channels of the maps that boxes are cut from; 0 takes the backbone's own, which must be alike."""
    hidden: int = 512
    """Width of the two layers before the rotations."""
    relative: bool = True
    """Rotations against the ray to the object, which look alike anywhere in the picture."""
    everywhere: bool = False
    """Directions and depths are learned outside of objects too, where they are 0."""
    symmetric: Literal["group", "closest"] = "group"
    """Of symmetric objects: distance to the nearest equivalent pose, or of each point to the closest one."""
    label_weight: float = 1.0
    """Of the labels in the loss."""
    centre_weight: float = 2.0
    """Of directions and depths."""
    rotation_weight: float = 2.0
    """Of rotations."""
    points: int = 256
    """Of each object, for the loss of rotations."""
    asked: float = 0.5
    """Least visible part of an object that teaches its rotation."""
    box_jitter: float = 0.08
    """How far sides of boxes are moved while training, parts of the box."""
    colour: tuple[float, float, float, float] = (0.3, 0.3, 0.3, 0.04)
    """Changes of brightness, contrast, saturation and hue while training."""
    turn_deg: float = 5.0
    """How far the camera is turned about its x and y axes while training."""
    roll_deg: float = 180.0
    """How far it is turned about its optical axis: views of an object count for every angle."""
    blur_px: float = 1.0
    """Most blur; half of the pictures are blurred by motion instead, up to three times as far."""
    noise: float = 0.04
    """Most noise."""
    least_cells: int = 10
    """Cells of an object below which it is not detected."""
    agreeing: float = 0.9
    """Cosine between a direction and the way to the centre above which a cell votes for it."""
    least_votes: float = 0.25
    """Part of a label's cells that must vote for a further instance."""
    instances: int = 4
    """Most instances of a class in a photo."""
    batch: int = 8
    steps: int = 3000
    rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        within = {
            "width": (32, 4096),
            "height": (32, 4096),
            "cell": (1, 32),
            "label_width": (1, 4096),
            "centre_width": (1, 4096),
            "roi_width": (0, 4096),
            "hidden": (1, 65536),
            "points": (4, 100_000),
            "asked": (0, 1),
            "box_jitter": (0, 0.4),
            "turn_deg": (0, 45),
            "roll_deg": (0, 180),
            "noise": (0, 1),
            "least_cells": (2, 10**6),
            "agreeing": (0, 1),
            "least_votes": (0, 1),
            "instances": (1, 100),
        }
        check(self, within)
        if not self.strides or list(self.strides) != sorted(set(self.strides)):
            raise ResectError("PoseCnnSettings.strides", "ascending strides of the backbone", str(self.strides))


@dataclass(frozen=True)
class PublishedPoseCnnSettings(PoseCnnSettings):
    """VGG-16 at 640×480 with the published sizes, losses and schedule; for a GPU."""

    backbone: str = "vgg16"
    pretrained: str = "imagenet"
    whitened: bool = False
    held: tuple[str, ...] = tuple(f"backbone.body.features.{i}." for i in (0, 2, 5, 7, 10, 12, 14))
    width: int = 640
    height: int = 480
    strides: tuple[int, ...] = (8, 16)
    cell: int = 1
    label_width: int = 64
    centre_width: int = 128
    mixed: bool = False
    roi_width: int = 0
    hidden: int = 4096
    turn_deg: float = 0.0
    roll_deg: float = 0.0
    relative: bool = False
    everywhere: bool = True
    symmetric: Literal["group", "closest"] = "closest"
    centre_weight: float = 1.0
    rotation_weight: float = 1.0
    points: int = 1024
    least_cells: int = 100
    instances: int = 1
    batch: int = 2
    steps: int = 50_000
    schedule: Literal["cosine", "drops", "exponential", "constant"] = "constant"
