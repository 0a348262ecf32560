"""Pose errors against the truth, and what a set of them amounts to: medians and recalls, failures counted as infinite.

The translation error is the distance between the two camera *centres* in the world, not between the two `t`, which
also changes when only the rotation does.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.look_at import nearest_point_to_axes
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Symmetries


@dataclass(frozen=True)
class Recall:
    """A pair of thresholds; a pose counts when it is below both.

    Attributes:
        name: key in reports.
        rotation_deg: greatest rotation error.
        translation: greatest distance of the camera centres.
        unit: what `translation` is in: metres, the scene's scale, or the world's own units.
    """

    name: str
    rotation_deg: float
    translation: float
    unit: Literal["m", "scale", "unit"]


RECALLS = (
    Recall("5deg_5cm", 5.0, 0.05, "m"),
    Recall("2deg_2cm", 2.0, 0.02, "m"),
    Recall("5deg_0.05scale", 5.0, 0.05, "scale"),
    Recall("1deg_0.01scale", 1.0, 0.01, "scale"),
    Recall("0.5deg_0.01scale", 0.5, 0.01, "scale"),
    Recall("5deg_0.05unit", 5.0, 0.05, "unit"),
)
"""Every threshold that resect prints."""

SOLVED = RECALLS[2]
"""What "solved" means; an accepted answer outside it is wrong."""


def pose_errors(
    estimate: SE3, truth: SE3, symmetries: Symmetries | Float[Tensor, "s 3 3"] | None = None
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Geodesic rotation error in degrees and distance of the camera centres in world units.

    Args:
        estimate: `cam_from_world` that was answered.
        truth: the true `cam_from_world`.
        symmetries: what changes nothing: of an object, or rotations of the world about its origin, identity included.
            Of the equivalent truths, the one with the least rotation error is compared with, for both errors.
    """
    a, b = estimate.double(), truth.double()
    if isinstance(symmetries, Symmetries):
        b, symmetries = symmetries.nearest(b, a), None
    if symmetries is None:
        return torch.rad2deg(so3.angle(a.R, b.R)), (a.center - b.center).norm(dim=-1)
    s = symmetries.to(b.R)
    rotation = b.R[..., None, :, :] @ s
    angle = so3.angle(a.R[..., None, :, :].expand(rotation.shape), rotation)
    center = -(rotation.mT @ b.t[..., None, :, None])[..., 0]
    distance = (a.center[..., None, :] - center).norm(dim=-1)
    best = angle.argmin(-1, keepdim=True)
    return torch.rad2deg(angle.gather(-1, best)[..., 0]), distance.gather(-1, best)[..., 0]


def median(errors: Float[Tensor, "n"]) -> float:
    """The middle error, of an even number the mean of the two in the middle; infinite if half of them failed.

    No errors at all give infinity too: nothing was answered.
    """
    if len(errors) == 0:
        return math.inf
    ordered = errors.double().sort().values
    n = len(ordered)
    low, high = float(ordered[(n - 1) // 2]), float(ordered[n // 2])
    return math.inf if math.isinf(high) else 0.5 * (low + high)


def recall(
    rotation_deg: Float[Tensor, "n"],
    translation: Float[Tensor, "n"],
    threshold: Recall,
    *,
    scene_scale: float,
    meters_per_unit: float | None,
) -> float | None:
    """Share of poses below both thresholds; `None` where centimetres are asked for in a world without metres.

    Args:
        rotation_deg: errors, infinite for failures.
        translation: errors in world units, infinite for failures.
        threshold: what counts.
        scene_scale: world units.
        meters_per_unit: length of a world unit.
    """
    inside = within(rotation_deg, translation, threshold, scene_scale=scene_scale, meters_per_unit=meters_per_unit)
    if inside is None:
        return None
    return float(inside.double().mean()) if len(inside) else 0.0


def within(
    rotation_deg: Float[Tensor, "n"],
    translation: Float[Tensor, "n"],
    threshold: Recall,
    *,
    scene_scale: float,
    meters_per_unit: float | None,
) -> Bool[Tensor, "n"] | None:
    """Which poses are below both thresholds, as booleans; see `recall`."""
    if threshold.unit == "m" and meters_per_unit is None:
        return None
    unit = {"m": 1 / (meters_per_unit or 1.0), "scale": scene_scale, "unit": 1.0}[threshold.unit]
    return (rotation_deg < threshold.rotation_deg) & (translation < threshold.translation * unit)


def scene_scale(cam_from_world: SE3) -> float:
    """Mean distance of camera centres from the point nearest their optical axes, world units; 0 without cameras.

    Take the training cameras, so that the scale of a scene does not depend on what is held out.
    """
    if len(cam_from_world) == 0:
        return 0.0
    cameras = cam_from_world.double()
    point = nearest_point_to_axes(cameras.center, cameras.axis)
    return float((cameras.center - point).norm(dim=-1).mean())
