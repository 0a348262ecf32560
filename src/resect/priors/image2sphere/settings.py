"""How Image2Sphere is built and trained: reduced, for minutes on a CPU, and as published."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.priors.rotations.settings import ResNetName, RotationSettings
from resect.training.settings import check


@dataclass(frozen=True)
class Image2SphereSettings(RotationSettings):
    """Settings of Image2Sphere; the defaults are the reduced ones, for a CPU."""

    lmax: int = 6
    """Greatest degree of the harmonics: details of about 180° over it can be told apart."""
    features: int = 64
    """Channels on the sphere; published 512."""
    hidden: int = 8
    """Functions on the rotations between the two convolutions."""
    resolution: int = 7
    """Of the rectifier's grid, at least lmax + 1; published 10."""
    projection: Literal["orthographic", "pooled"] = "orthographic"
    """How the feature map comes to the sphere: each point from where it is seen, or all from the map's mean."""
    points: int = 0
    """Random points of the sphere that a step looks at; 0 looks at all 104. Published 20, in answers too."""
    equivariant: bool = True
    """The density turns exactly as the picture does; published: the turn stands on the other side of the labels."""
    grid_level: int = 3
    """Level of the grid that training's classes are cells of."""
    target: Literal["exact", "cell"] = "exact"
    """Turn the grid so that the label is the middle of a cell, or take the cell that holds it, as published."""
    candidates: int = 0
    """Random cells of that grid as a step's classes, in place of all; published variant 4096."""
    include_truth: bool = True
    """Put the true cells among the random ones, as one published variant does."""
    translation: bool = False
    """Tell where the object stands too, from photos with known cameras and positions; best of whole photos."""
    steps: int = 4000
    rate: float = 3e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        within = {
            "lmax": (1, 16),
            "features": (1, 4096),
            "hidden": (1, 512),
            "resolution": (self.lmax + 1, 64),
            "points": (0, 104),
            "grid_level": (1, 5),
            "candidates": (0, 72 << 3 * self.grid_level),
        }
        check(self, within)
        if self.translation and self.augment:
            got, fix = f"augment = {self.augment}", "Leave one of them away; roll_deg turns whole photos."
            raise ResectError(f"{type(self).__name__}.translation", "photos as they are", got, fix)


@dataclass(frozen=True)
class PublishedImage2SphereSettings(Image2SphereSettings):
    """As published (Klee et al., ICLR 2023) but that it learns in the frame in which it turns with the picture.

    For a GPU. Published are 40 epochs of whatever the data are; 45 000 steps are those of 72 000 pictures.
    """

    encoder: ResNetName = "resnet50"
    encoder_width: int = 64
    stages: int = 4
    normalize: bool = False
    side: int = 224
    features: int = 512
    resolution: int = 10
    points: int = 20
    target: Literal["exact", "cell"] = "cell"
    batch: int = 64
    steps: int = 45_000
    rate: float = 1e-3
    optimizer: Literal["adam", "sgd"] = "sgd"
    nesterov: bool = True
    schedule: Literal["cosine", "drops", "constant"] = "drops"
    drop_every: int = 16_875
    density_level: int = 5
    memory_gb: float = 64.0
