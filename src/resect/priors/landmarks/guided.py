"""Landmarks looked for where a pose says they are, and how many of them chance would find there."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.priors.landmarks.features import Features

_IN_REACH = 4  # features that a landmark is compared with
_SHIFTS = ((1.0, 0.6), (-0.6, 1.0))  # in units of the offset; not along an axis, where buildings repeat


@dataclass(frozen=True)
class Look:
    """How near and how like a feature must be.

    Attributes:
        radius_px: how far a feature may lie from its landmark's projection, photo pixels.
        least_cosine: of the descriptors of a match.
        ratio: best distance over second best among the features in reach.
        size_factor: how much larger or smaller a feature may be than its landmark should appear.
    """

    radius_px: float
    least_cosine: float
    ratio: float
    size_factor: float


@dataclass(frozen=True, eq=False)
class Points:
    """What is known of landmarks.

    Attributes:
        xyz: world units.
        covariance: of each, world units squared.
        toward: unit vector from each point to the middle of the cameras that saw it.
        size: diameter of the neighbourhood that its descriptor is of, world units.
        descriptors: unit vectors.
    """

    xyz: Float[Tensor, "n 3"]
    covariance: Float[Tensor, "n 3 3"]
    toward: Float[Tensor, "n 3"]
    size: Float[Tensor, "n"]
    descriptors: Float[Tensor, "n 128"]

    def __len__(self) -> int:
        return len(self.xyz)


def guided_matches(
    found: Features,
    known: Points,
    camera: Camera,
    cam_from_world: SE3,
    look: Look,
    offset_px: tuple[float, float] = (0.0, 0.0),
) -> tuple[Int[Tensor, "k"], Int[Tensor, "k"]]:
    """Landmarks and the features found where a pose says they should be; each of either at most once.

    Args:
        found: features of the photo.
        known: the map.
        camera: of the photo.
        cam_from_world: the pose.
        look: what counts as a match.
        offset_px: added to every projection; other than zero to see what chance finds.
    """
    pixels, inside = camera.project(cam_from_world.apply(known.xyz))
    facing = ((cam_from_world.center - known.xyz) * known.toward).sum(-1) > 0
    landmark = (inside & facing).nonzero()[:, 0]
    if len(landmark) == 0 or len(found) == 0:
        return landmark[:0], landmark[:0]
    where = pixels[landmark] + torch.tensor(offset_px, dtype=pixels.dtype)
    near = _nearest(found.pixels, where, look.radius_px)
    row, slot = (near < len(found)).nonzero(as_tuple=True)
    distance = (known.xyz[landmark] - cam_from_world.center).norm(dim=-1)
    expected = (known.size[landmark] / (distance * camera.pixel_rad)).float()
    fits = (found.sizes[near[row, slot]] / expected[row]).log().abs() < math.log(look.size_factor)
    row, slot = row[fits], slot[fits]
    likeness = torch.full(near.shape, -1.0)
    likeness[row, slot] = (found.descriptors[near[row, slot]] * known.descriptors[landmark[row]]).sum(-1)
    (best, second), which = (x.T for x in likeness.topk(2, dim=1))
    good = ((best > look.least_cosine) & (1 - best < look.ratio**2 * (1 - second))).nonzero()[:, 0]
    feature = near[good, which[0][good]]
    order = best[good].argsort(descending=True, stable=True)
    _, first = np.unique(feature[order].numpy(), return_index=True)
    chosen = order[torch.from_numpy(first)]
    return landmark[good[chosen]], feature[chosen]


def chance_matches(
    found: Features, known: Points, camera: Camera, cam_from_world: SE3, look: Look, offset_px: float
) -> float:
    """Mean number of guided matches when every projection is moved aside: what a wrong pose finds too.

    A pose far from the scene heaps thousands of landmarks on a small part of the photo, and some dozens of them look
    like something there. The true pose finds many times more than its neighbours do.
    """
    counts = []
    for x, y in _SHIFTS:
        aside = (x * offset_px, y * offset_px)
        counts.append(len(guided_matches(found, known, camera, cam_from_world, look, aside)[0]))
    return sum(counts) / len(counts)


def _nearest(features: Float[Tensor, "m 2"], where: Float[Tensor, "n 2"], radius_px: float) -> Int[Tensor, "n k"]:
    """The features next to each place, nearest first; m stands for none."""
    from scipy.spatial import cKDTree

    tree = cKDTree(features.numpy())
    return torch.from_numpy(tree.query(where.numpy(), k=_IN_REACH, distance_upper_bound=radius_px)[1])
