"""Settings of a NeRF; the command line is made from these dataclasses. Torch-free."""

from dataclasses import dataclass
from typing import Literal

from resect.errors import ResectError
from resect.training.settings import TrainingSettings, check

BackgroundName = Literal["auto", "black", "white"]


@dataclass(frozen=True)
class NerfSettings(TrainingSettings):
    """A small NeRF that learns on a CPU."""

    max_side: int = 200
    """Photos are area-averaged to at most this many pixels on their longer side."""
    depth: int = 4
    """Layers of the networks before the density."""
    width: int = 96
    """Their width; the layer that sees the direction has half of it."""
    octaves: int = 8
    """Of the encoding of positions."""
    view_octaves: int = 3
    """Of the encoding of view directions."""
    view_directions: bool = True
    """Whether colour depends on the direction that a point is seen from."""
    samples: int = 32
    """Along each ray, coarse."""
    finer_samples: int = 32
    """Further ones where the coarse network found something; 0 leaves the second network out."""
    in_disparity: Literal[True, False] | None = None
    """Coarse samples evenly in inverse distance; when not given: where far is more than ten times near."""
    density_noise: float = 0.0
    """Standard deviation of noise on raw densities, while training only."""
    warped: Literal["auto", "yes", "no"] = "auto"
    """Normalised device coordinates, for captures that look ahead; "auto": for those alone."""
    near: float | None = None
    """Nearest distance of a sample from the camera, world units; from the data when not given."""
    far: float | None = None
    """Farthest distance, world units; from the data when not given."""
    background: BackgroundName = "auto"
    """Behind everything; "auto" is white for photos with transparency, else black."""
    centre_steps: int = 500
    """First steps that see the middle of the photos only, where the object is; else nothing may be learned at all."""
    centre_share: float = 0.5
    """Part of the width and height that they see."""
    depth_weight: float = 0.0
    """Of the error of the rays' mean depth, part of the range of depths, in the loss; 0 looks at colour alone."""
    measured: bool = False
    """Whether a second NeRF is learned without some of the photos, for half of the steps, to measure how exact poses
    are (errors.json); else they are told with the errors of a scene that was not measured."""
    rays_at_once: int = 4096
    """Most rays in memory while rendering."""
    batch: int = 512
    """Rays in a step."""
    steps: int = 6000
    """Steps of the optimiser."""
    rate: float = 2e-3
    """Learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        within = {
            "max_side": (8, 8192),
            "depth": (1, 32),
            "width": (2, 4096),
            "octaves": (0, 20),
            "view_octaves": (0, 20),
            "samples": (3, 4096),
            "finer_samples": (0, 4096),
            "density_noise": (0, 100),
            "centre_steps": (0, 10**8),
            "depth_weight": (0, 1e6),
            "rays_at_once": (1, 10**7),
        }
        check(self, within, positive=("centre_share",))
        if self.near is not None and self.far is not None and not 0 <= self.near < self.far:
            fix = "Exchange them, or leave both out: they are found from the data."
            raise ResectError("NerfSettings.near", "0 <= near < far", f"near {self.near}, far {self.far}", fix)

    @property
    def skip(self) -> int | None:
        """The layer after which the encoding is put in again: the fifth, where there are more."""
        return 4 if self.depth > 5 else None


@dataclass(frozen=True)
class PublishedNerfSettings(NerfSettings):
    """The NeRF of the paper, as its synthetic scenes were trained; for a GPU."""

    max_side: int = 800
    depth: int = 8
    width: int = 256
    octaves: int = 10
    view_octaves: int = 4
    samples: int = 64
    finer_samples: int = 128
    batch: int = 1024
    steps: int = 200_000
    rate: float = 5e-4
    schedule: Literal["cosine", "drops", "exponential", "constant"] = "exponential"
    drop_every: int = 500_000
    rays_at_once: int = 32_768
