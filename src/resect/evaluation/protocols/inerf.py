"""`benchmark inerf`: five held-out photos, five starts each, and the variants that others have made of it.

Reference: Yen-Chen et al., "iNeRF: Inverting Neural Radiance Fields for Pose Estimation", IROS 2021, section IV; the
variants are those of Chen et al. (10 to 40 degrees, one random direction) and of iComMa (two levels, random signs).
What differs: the paper does not say about which point it turns; here it is the camera's own centre. A threshold of
"5 cm" is 0.05 of the dataset's units there and here.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch

from resect.evaluation.protocols.starts import Start, directions, photo_generator, turned_and_shifted, uniform
from resect.types import PhotoSet, Split

Variant = Literal["synthetic", "real", "chen", "delta-s", "delta-m"]


@dataclass(frozen=True)
class _Ranges:
    """Angle in degrees, translation in units, and whether the length or each coordinate lies in the range."""

    angle_deg: tuple[float, float]
    translation: tuple[float, float]
    each_axis: bool


_RANGES: dict[Variant, _Ranges] = {
    "synthetic": _Ranges((0, 40), (0, 0.2), True),
    "real": _Ranges((0, 40), (0, 0.1), True),
    "chen": _Ranges((10, 40), (0, 0.2), False),
    "delta-s": _Ranges((0, 20), (0, 0.1), True),
    "delta-m": _Ranges((20, 40), (0.1, 0.2), True),
}


@dataclass(frozen=True)
class InerfSettings:
    """Which variant.

    Attributes:
        variant: "synthetic" and "real" are the paper's, up to 40° and 0.2 or 0.1 units for each coordinate; "chen" is
            10 to 40° and up to 0.2 units in one direction; "delta-s" and "delta-m" are 0 to 20° and 0 to 0.1, and 20
            to 40° and 0.1 to 0.2 units for each coordinate.
        photos: held-out photos, drawn without replacement.
        starts: for each photo.
        unit: world units of one unit of the protocol.
        seed: of photos and starts.
    """

    variant: Variant = "synthetic"
    photos: int = 5
    starts: int = 5
    unit: float = 1.0
    seed: int = 0


def words(settings: InerfSettings) -> str:
    """The perturbation in words."""
    r = _RANGES[settings.variant]
    (a, b), (c, d) = r.angle_deg, r.translation
    where = "along each of the world's axes by" if r.each_axis else "in a direction uniform on the sphere by"
    return (
        f"rotation about the camera's own centre, axis uniform on the sphere, angle uniform in [{a:g}°, {b:g}°]; then "
        f"the centre moves {where} a length uniform in [{c:g}, {d:g}] units, random signs; {settings.photos} photos, "
        f"{settings.starts} starts each; seed {settings.seed}"
    )


def make_starts(photos: PhotoSet, split: Split, settings: InerfSettings) -> list[Start]:
    """Starts of the drawn photos."""
    ranges, truth, count = _RANGES[settings.variant], photos.truth.cam_from_world.double(), settings.starts
    draw = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(len(split.test), generator=draw)[: settings.photos].sort().values
    found = []
    for i in (split.test[int(k)] for k in order):
        generator = photo_generator(settings.seed, photos.names[i])
        axis = directions(count, generator)
        low, high = (math.radians(x) for x in ranges.angle_deg)
        angle = uniform(low, high, (count, 1), generator)
        length = uniform(*ranges.translation, (count, 3 if ranges.each_axis else 1), generator) * settings.unit
        way = directions(count, generator)
        shift = length * (way.sign() if ranges.each_axis else way)
        poses = turned_and_shifted(truth[[i] * count], angle * axis, shift)
        found += [Start(i, k, poses[k : k + 1]) for k in range(count)]
    return found
