"""Settings of the voxel field; the command line is made from this dataclass. Torch-free."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from resect.errors import ResectError

BackgroundName = Literal["auto", "black", "grey", "white"]


@dataclass(frozen=True)
class FieldSettings:
    """How a voxel field is trained. The defaults are the same for every scene; see docs/decisions."""

    max_side: int = 240
    """Photos are area-averaged to at most this many pixels on their longer side."""
    resolutions: tuple[int, ...] = (64, 128, 256)
    """Voxels along an edge of the grid, level by level; the first a multiple of 4, each next a doubling (or more)."""
    steps: tuple[int, ...] = (200, 500, 1000)
    """Training steps on each level."""
    batch: int = 2048
    """Rays in a step, drawn without replacement from all pixels of all photos."""
    rate_density: float = 0.3
    """Learning rate of log-densities at the first step."""
    rate_colour: float = 0.2
    """Learning rate of colour coefficients at the first step."""
    rate_end: float = 0.05
    """Factor that both rates have reached, along half a cosine, at the last step."""
    decay: float = 0.95
    """Of the averages of squared gradients, at each touch of a voxel."""
    epsilon: float = 1e-4
    """Added to the root of those averages; below it weakly seen voxels move slowly."""
    distortion: float = 0.04
    """Weight of the loss that gathers a ray's samples (Mip-NeRF 360, eq. 15, on s = t/(1+t))."""
    fade_distance: float | None = None
    """Gradients of samples nearer than this fade with the square of the distance; local units. When not given: 3 for
    captures that look out or about, where fog before the cameras is the danger, else 0."""
    initial_log_density: float = -3.5
    """Of every voxel at the start: thin fog."""
    prune_every: int = 200
    """Steps between removals of empty cells."""
    prune_log_density: float = -4.6
    """Cells without any voxel above this are removed."""
    prune_weight: float = 0.02
    """Cells in which no sample had a compositing weight above this since the last removal are removed."""
    least_weight: float = 1e-3
    """Samples of less compositing weight are dropped, forward and backward."""
    least_transmittance: float = 1e-3
    """A ray stops when less light than this is left."""
    near: float | None = None
    """Nearest distance of a sample from the camera, world units; from the data when not given."""
    far: float | None = None
    """Farthest distance, world units; from the data when not given."""
    background: BackgroundName = "auto"
    """Behind everything. "auto" is white for photos with transparency, else grey."""
    exposure: bool = False
    """Learn a gain per photo and channel; for captures with automatic exposure."""
    checkpoint_seconds: float = 60.0
    """Time between states saved for resuming."""
    tensorboard: bool = False
    """Write TensorBoard event files beside the log, where the package is installed."""
    threads: int = 2
    """Threads of the numba kernels. The last bits of the result depend on this number, and on nothing else of the
    machine; a run may go on with another."""
    backend: Literal["auto", "numba", "torch"] = "auto"
    """"torch" is the plain version, slower on a CPU, that needs no numba; "auto" is numba on a CPU that has it."""
    device: str = "cpu"
    """Where the PyTorch backend computes, and with it the field renders; anything but "cpu" implies that backend."""
    seed: int = 0
    """Of the order of pixels and the offsets of samples, when no generator is given."""

    def __post_init__(self) -> None:
        self._check_levels()
        positive = (
            "batch", "max_side", "rate_density", "rate_colour", "rate_end", "epsilon", "prune_every", "threads"
        )  # fmt: skip
        for name in positive:
            if getattr(self, name) <= 0:
                raise ResectError(f"FieldSettings.{name}", "a number above 0", repr(getattr(self, name)))
        if not 0 < self.decay < 1:
            raise ResectError("FieldSettings.decay", "a number between 0 and 1", repr(self.decay))
        if self.near is not None and self.far is not None and not 0 <= self.near < self.far:
            raise ResectError("FieldSettings.near", "0 <= near < far", f"near {self.near}, far {self.far}")

    def _check_levels(self) -> None:
        levels = self.resolutions
        if len(levels) != len(self.steps) or not levels:
            got = f"{len(levels)} resolutions, {len(self.steps)} steps"
            raise ResectError("FieldSettings.steps", "one number for each resolution", got)
        doubling = all(b // a in (2, 4, 8) and b % a == 0 for a, b in pairwise(levels))
        if not doubling or levels[0] % 4 or not 8 <= levels[0] <= levels[-1] <= 1024:
            expected = "a multiple of 4, then doublings, from 8 to 1024"
            raise ResectError("FieldSettings.resolutions", expected, repr(levels))
        if any(n < 1 for n in self.steps):
            raise ResectError("FieldSettings.steps", "at least one step on each level", repr(self.steps))

    @property
    def total_steps(self) -> int:
        """Steps on all levels."""
        return sum(self.steps)

    @classmethod
    def tiny(cls) -> "FieldSettings":
        """Trains in about a second on small photos: for tests and examples."""
        return cls(max_side=48, resolutions=(32, 64), steps=(60, 60), batch=512, prune_every=40, threads=1)
