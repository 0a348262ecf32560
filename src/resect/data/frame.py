"""What a set of cameras says of its world: how large it is, where they look, which way is up."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.look_at import nearest_point_to_axes
from resect.geometry.se3 import SE3
from resect.metrics.pose import scene_scale as scale_of_cameras
from resect.types import PhotoSet, Split


@dataclass(frozen=True, eq=False)
class LookAt:
    """Where cameras look.

    Attributes:
        point: nearest to all optical axes, world units.
        ahead: share of the cameras that have it before them.
        miss_deg: median angle between a camera's axis and the direction to the point (or away from it).
        up: unit mean of the cameras' up directions.
        up_agreement: length of that mean before normalising: 1 where all agree.
    """

    point: Float[Tensor, "3"]
    ahead: float
    miss_deg: float
    up: Float[Tensor, "3"]
    up_agreement: float


def scene_scale(photos: PhotoSet, split: Split | None = None) -> float:
    """Mean distance of the training camera centres from the point nearest their optical axes, world units.

    Args:
        photos: all photos, or the training photos alone.
        split: which of them are for training; `None` takes all.
    """
    poses = photos.truth.cam_from_world
    return scale_of_cameras(poses if split is None else poses[list(split.train)])


def look_at_point(cam_from_world: SE3) -> LookAt:
    """The point that cameras look at and how well they agree on it."""
    cameras = cam_from_world.double()
    center, axis = cameras.center, cameras.axis
    point = nearest_point_to_axes(center, axis)
    toward = point - center
    along = (toward * axis).sum(-1)
    across = (toward - along[:, None] * axis).norm(dim=-1)
    miss = torch.rad2deg(torch.atan2(across, along.abs())).median()
    up = -cameras.R[:, 1].mean(0)
    agreement = up.norm()
    return LookAt(
        point, float((along > 0).double().mean()), float(miss), up / agreement.clamp_min(1e-12), float(agreement)
    )
