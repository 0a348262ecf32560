"""`benchmark basin`: from how far away does a refiner find the pose? Our own protocol, stated in full."""

import math
from dataclasses import dataclass

from resect.evaluation.protocols.starts import Start, directions, photo_generator, turned_and_shifted, uniform
from resect.metrics.pose import scene_scale
from resect.types import PhotoSet, Split


@dataclass(frozen=True)
class BasinSettings:
    """Starts about the truth.

    Attributes:
        rotation_deg: the angle is uniform in [0, this].
        translation: each coordinate is uniform in [−this, this], in parts of the scene's scale.
        starts: for each held-out photo.
        seed: of all starts.
    """

    rotation_deg: float = 20.0
    translation: float = 0.1
    starts: int = 20
    seed: int = 0


LEVELS = (BasinSettings(20.0, 0.1), BasinSettings(40.0, 0.2), BasinSettings(60.0, 0.3))
"""The three levels of the tables."""


def words(settings: BasinSettings) -> str:
    """The perturbation in words."""
    return (
        f"rotation about the camera's own centre, axis uniform on the sphere, angle uniform in [0, "
        f"{settings.rotation_deg:g}°]; then the centre moves along the world's axes, each uniform in ±"
        f"{settings.translation:g} of the scene's scale; {settings.starts} starts a photo; seed {settings.seed}"
    )


def make_starts(photos: PhotoSet, split: Split, settings: BasinSettings) -> list[Start]:
    """Starts of all held-out photos; those of a photo depend on its name and the seed, not on the other photos."""
    truth = photos.truth.cam_from_world.double()
    scale = scene_scale(truth[list(split.train or split.test)])
    found = []
    for i in split.test:
        generator = photo_generator(settings.seed, photos.names[i])
        axis = directions(settings.starts, generator)
        angle = uniform(0.0, math.radians(settings.rotation_deg), (settings.starts, 1), generator)
        reach = settings.translation * scale
        shift = uniform(-reach, reach, (settings.starts, 3), generator)
        poses = turned_and_shifted(truth[[i] * settings.starts], angle * axis, shift)
        found += [Start(i, k, poses[k : k + 1]) for k in range(settings.starts)]
    return found
