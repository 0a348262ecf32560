"""Guesses of an object's rotation laid into its visible box: poses, with what is known of each."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from resect.geometry.se3 import SE3, pivot
from resect.priors.lift import lift
from resect.priors.views import box_of
from resect.types import Hypotheses, Photo

_SHIFT, _AWAY = 0.05, 0.15  # spread of a laid pose across and along the axis, parts of the object and of the depth


def lay(
    rotation: Float[Tensor, "h 3 3"],
    log_weight: Float[Tensor, "h"],
    covariance: Float[Tensor, "h 3 3"],
    photo: Photo,
    *,
    source: str,
    points: Float[Tensor, "n 3"] | None,
    away: Float[Tensor, "3"],
    spread: Float[Tensor, "3 3"] | None = None,
) -> Hypotheses:
    """Poses of given rotations; those that fit into no box are left out.

    Where the object's points, its box or the camera are not known, all poses stand at `away`; without its spread, rows
    of zero information say that this is no knowledge.

    Args:
        rotation: `cam_from_world`, float64.
        log_weight: of each.
        covariance: of ω in exp(ω) @ rotation, radians².
        photo: asked for a target.
        source: what made the guesses.
        points: of the object, its hull's corners are enough.
        away: where the object's origin is taken to be, camera frame.
        spread: covariance of that place, world units².
    """
    n = len(rotation)
    pose = SE3(rotation, away.to(rotation).expand(n, 3))
    if spread is None:
        information = torch.zeros(n, 6, 6, dtype=torch.float64)
        information[:, 3:, 3:] = information_of(covariance)
    else:
        information = _information(pose.t, spread.to(rotation).expand(n, 3, 3), covariance)
    found = Hypotheses(pose, log_weight.float(), information, source=(source,) * n, target=photo.target)
    box = box_of(photo.target)
    if box is None or points is None or photo.camera is None:
        return found
    laid = lift(rotation, points, photo.camera, box)
    keep = laid.valid.nonzero()[:, 0]
    if len(keep) == 0:
        return found
    pose = laid.cam_from_world[keep]
    middle = pose.apply(((points.amin(0) + points.amax(0)) / 2).expand(len(keep), 1, 3))[:, 0]
    size = (points.amax(0) - points.amin(0)).norm()
    place = place_covariance(middle, float(_SHIFT * size), _AWAY)
    return replace(found.take(keep), cam_from_world=pose, information=_information(middle, place, covariance[keep]))


def _information(
    point: Float[Tensor, "h 3"], place: Float[Tensor, "h 3 3"], covariance: Float[Tensor, "h 3 3"]
) -> Float[Tensor, "h 6 6"]:
    """Of poses where a point of the object, camera frame, and the rotation are known independently.

    The point moves by p = v + ω × c, so v = p + c × ω.
    """
    carry = pivot(point)
    both = torch.zeros(len(point), 6, 6, dtype=torch.float64)
    both[:, :3, :3], both[:, 3:, 3:] = place, covariance
    return information_of(carry @ both @ carry.mT)


def place_covariance(point: Float[Tensor, "h 3"], across: float, away: float) -> Float[Tensor, "h 3 3"]:
    """Of points whose deviation is `across` units across the ray to each, `away` of their distance along it."""
    along = normalize(point, dim=-1)
    axis = along[:, :, None] * along[:, None, :]
    eye = torch.eye(3, dtype=point.dtype)
    return across**2 * (eye - axis) + (away * point.norm(dim=-1)).square()[:, None, None] * axis


def information_of(covariance: Float[Tensor, "*h n n"]) -> Float[Tensor, "*h n n"]:
    """The inverse, symmetric to the last bit."""
    found = torch.linalg.inv(covariance)
    return (found + found.mT) / 2
