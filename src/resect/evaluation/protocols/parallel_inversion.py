"""`benchmark parallel-inversion`: 25 trials a scene, each from one start or from 64 hypotheses about it.

Reference: Lin et al., "Parallel Inversion of Neural Radiance Fields for Robust Pose Estimation", ICRA 2023, with the
ranges of the official code. What differs: the draws follow the same distributions and seed, not the same order of
calls, so single starts are others; resampling and step counts are the refiner's own affair.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch

from resect.evaluation.protocols.spoil import Spoil
from resect.evaluation.protocols.starts import Start, euler_zyx, turned_in_world, uniform
from resect.geometry.se3 import SE3
from resect.types import PhotoSet, Split

NOISY = Spoil(brightness=0.2, noise=0.05, discs=5, disc_radius_px=50.0)
"""The harder photos: brighter by 0.2, noisy, five discs of 50 pixels. The paper's Poisson noise is left out."""


@dataclass(frozen=True)
class ParallelInversionSettings:
    """Which starts.

    Attributes:
        scenes: "synthetic" moves each coordinate by up to 0.25 units, "real" by up to 0.15.
        photos: held-out photos, drawn with replacement.
        starts: for each draw.
        hypotheses: 1, or 64: the start and others about it.
        unit: world units of one unit of the protocol.
        seed: of photos, starts and hypotheses.
    """

    scenes: Literal["synthetic", "real"] = "synthetic"
    photos: int = 5
    starts: int = 5
    hypotheses: int = 64
    unit: float = 1.0
    seed: int = 1234

    @property
    def reach(self) -> float:
        """Largest shift of a coordinate, in the protocol's units."""
        return 0.25 if self.scenes == "synthetic" else 0.15


_ANGLE_DEG, _SPREAD = 15.0, 0.3


def words(settings: ParallelInversionSettings) -> str:
    """The perturbation in words."""
    text = (
        f"rotation Rz Ry Rx along the world's axes about the camera's own centre, three angles uniform in "
        f"±{_ANGLE_DEG:g}°; then the centre moves along the world's axes, each uniform in ±{settings.reach:g} units; "
        f"{settings.photos} photos with replacement, {settings.starts} starts each; seed {settings.seed}"
    )
    if settings.hypotheses > 1:
        text += f"; {settings.hypotheses} hypotheses: the start, and others about it by ±{_ANGLE_DEG:g}° and "
        text += f"±{_SPREAD:g} units"
    return text


def make_starts(photos: PhotoSet, split: Split, settings: ParallelInversionSettings) -> list[Start]:
    """Starts; a photo that is drawn twice has twice as many."""
    truth = photos.truth.cam_from_world.double()
    generator = torch.Generator().manual_seed(settings.seed)
    drawn = torch.randint(len(split.test), (settings.photos,), generator=generator).tolist()
    found, used = [], dict.fromkeys(range(len(photos)), 0)
    for i in (split.test[k] for k in drawn):
        for _ in range(settings.starts):
            start = _about(truth[[i]], settings.reach * settings.unit, generator)
            others = [start]
            if settings.hypotheses > 1:
                repeated = start[[0] * (settings.hypotheses - 1)]
                others.append(_about(repeated, _SPREAD * settings.unit, generator))
            found.append(Start(i, used[i], SE3.cat(others)))
            used[i] += 1
    return found


def _about(poses: SE3, reach: float, generator: torch.Generator) -> SE3:
    angle = uniform(-math.radians(_ANGLE_DEG), math.radians(_ANGLE_DEG), (3, len(poses)), generator)
    shift = uniform(-reach, reach, (len(poses), 3), generator)
    return turned_in_world(poses, euler_zyx(*angle), shift)
