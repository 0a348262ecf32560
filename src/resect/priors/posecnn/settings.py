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
    """Parameters that are not trained, by the beginning of their names; "backbone." for all of the backbone."""
    looks: int = 0
    """Where all of the backbone is held: ways in which each photo is changed, once; 0 changes it anew in each step."""
    width: int = 320
    """Of the picture, pixels: of the training photos' camera; others are resampled to it."""
    height: int = 240
    """Of the picture, pixels."""
    strides: tuple[int, ...] = (4, 8, 16, 32)
    """Of the backbone's maps that are looked at."""
    cell: int = 4
    """Pixels along a side of a cell that has a label and a direction of its own."""
    label_width: int = 96
    """Channels before the labels."""
    centre_width: int = 64
    """Channels before directions and depths."""
    mixed: bool = True
    """Whether 3×3 convolutions follow the sum of the maps, of which the first then joins at the end."""
    cut: int = 128
    """Side of the cuts of boxes that rotations are seen in, pixels."""
    cuts: int = 2
    """Cuts of each object in a step, each rolled, recoloured and blurred in its own way."""
    surface_width: int = 64
    """Channels before the surfaces that cuts show."""
    patches: int = 64
    """That the surface of an object is divided into."""
    everywhere: bool = False
    """Directions and depths are learned outside of objects too, where they are 0."""
    label_weight: float = 1.0
    """Of the labels in the loss."""
    object_weight: float = 6.0
    """How much more a cell of an object counts in the loss of the labels than one of the background, which are many."""
    centre_weight: float = 2.0
    """Of directions and depths."""
    surface_weight: float = 0.5
    """Of what cuts show."""
    points: int = 8192
    """Of each object's surface: which of it is seen is told by the nearest of them."""
    asked: float = 0.5
    """Least visible part of an object that teaches its rotation."""
    box_jitter: float = 0.15
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
    turns: Literal[1, 2, 4] = 4
    """Ways up in which a picture is looked at, upright, upside down, on its sides; their answers are averaged."""
    background: float = 0.4
    """Factor of the background's probability where cells are labelled: less finds more objects, and more of what is not
    there."""
    shown: float = 0.7
    """How much likelier than the background a cell of an object is that its mask shows."""
    least_cells: int = 16
    """Cells of an object below which it is not detected."""
    agreeing: float = 0.9
    """Cosine between a direction and the way to the centre above which a cell votes for it."""
    least_votes: float = 0.4
    """Part of the label's cells in reach that must vote for a further instance."""
    instances: int = 4
    """Most instances of a class in a photo."""
    poses: int = 100
    """Most poses of an object that was found, the likeliest."""
    batch: int = 8
    steps: int = 3000
    rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        within = {
            "looks": (0, 10_000),
            "width": (32, 4096),
            "height": (32, 4096),
            "cell": (1, 32),
            "label_width": (1, 4096),
            "centre_width": (1, 4096),
            "cut": (16, 1024),
            "cuts": (1, 64),
            "surface_width": (8, 4096),
            "patches": (4, 1024),
            "points": (16, 100_000),
            "object_weight": (0.01, 1000),
            "asked": (0, 1),
            "box_jitter": (0, 0.4),
            "turn_deg": (0, 45),
            "roll_deg": (0, 180),
            "noise": (0, 1),
            "background": (0, 1000),
            "shown": (0, 1000),
            "least_cells": (2, 10**6),
            "agreeing": (0, 1),
            "least_votes": (0, 1),
            "instances": (1, 100),
            "poses": (1, 4000),
        }
        check(self, within)
        if not self.strides or list(self.strides) != sorted(set(self.strides)):
            raise ResectError("PoseCnnSettings.strides", "ascending strides of the backbone", str(self.strides))
        if self.mixed and len(self.strides) < 2:
            raise ResectError("PoseCnnSettings.strides", "two or more where maps are mixed", str(self.strides))
        if self.turns not in (1, 2, 4):
            raise ResectError("PoseCnnSettings.turns", "1, 2 or 4", str(self.turns))
        if self.patches > self.points:
            raise ResectError(
                "PoseCnnSettings.patches", f"at most as many as points ({self.points})", str(self.patches)
            )
        if self.cut % self.strides[-1]:
            raise ResectError("PoseCnnSettings.cut", f"a multiple of the last stride {self.strides[-1]}", str(self.cut))


@dataclass(frozen=True)
class PublishedPoseCnnSettings(PoseCnnSettings):
    """VGG-16 at 640×480 with the published sizes, losses and schedule, but for the rotations; for a GPU."""

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
    cuts: int = 1
    surface_width: int = 256
    turn_deg: float = 0.0
    roll_deg: float = 0.0
    everywhere: bool = True
    object_weight: float = 1.0
    turns: Literal[1, 2, 4] = 1
    background: float = 1.0
    shown: float = 0.0
    centre_weight: float = 1.0
    surface_weight: float = 1.0
    least_cells: int = 100
    instances: int = 1
    batch: int = 2
    steps: int = 50_000
    schedule: Literal["cosine", "drops", "exponential", "constant"] = "constant"
