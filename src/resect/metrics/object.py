"""Errors of object poses over the points of a model, and up to the object's symmetries.

`cam_from_obj` poses in the model's units, computed in float64; a pose that is not finite has infinite error. Memory is
bounded by `max_numbers`, the floating-point numbers held at once.

References: Hinterstoisser et al., ACCV 2012 (ADD, ADI); Hodaň et al., "BOP Challenge 2020" (MSSD, MSPD); Wang et al.,
"Normalized object coordinate space", CVPR 2019 (n° n cm); Xiang et al., "PoseCNN", RSS 2018 (area under the curve).
"""

import math
from collections.abc import Callable
from contextlib import suppress

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Symmetries

MAX_NUMBERS = 1 << 24


def add(
    estimate: SE3, truth: SE3, points: Float[Tensor, "n 3"], *, max_numbers: int = MAX_NUMBERS
) -> Float[Tensor, "b"]:
    """Average distance of the model's points between B estimated and B true poses."""
    flat = points.double()

    def distance(a: SE3, b: SE3) -> Tensor:
        return _displacement(a, b, flat).mean(-1)

    return _least(estimate, truth, Symmetries(), len(points), max_numbers, distance)


def adi(
    estimate: SE3, truth: SE3, points: Float[Tensor, "n 3"], *, max_numbers: int = MAX_NUMBERS
) -> Float[Tensor, "b"]:
    """Average distance from each truly placed point to the nearest estimated one ("ADD-S").

    Distances survive moving both sets into the estimate's frame, so one tree of the model's points serves all poses.
    """
    from scipy.spatial import cKDTree

    model = points.double()
    relative = estimate.double().inverse() @ truth.double()
    tree = cKDTree(model.cpu().numpy())
    usable = relative.R.isfinite().all(-1).all(-1) & relative.t.isfinite().all(-1)
    found = torch.full((len(relative),), math.inf, dtype=torch.float64, device=model.device)
    for part in usable.nonzero()[:, 0].split(max(1, max_numbers // (3 * len(model)))):
        nearest, _ = tree.query(_placed(relative[part], model).cpu().numpy())
        found[part] = torch.from_numpy(nearest).mean(-1).to(found)
    return found


def add_s(estimate: SE3, truth: SE3, points: Float[Tensor, "n 3"], symmetries: Symmetries) -> Float[Tensor, "b"]:
    """ADD(-S): ADI where the object has a symmetry, ADD where it has none."""
    return add(estimate, truth, points) if symmetries.trivial else adi(estimate, truth, points)


def mssd(
    estimate: SE3,
    truth: SE3,
    points: Float[Tensor, "n 3"],
    symmetries: Symmetries | None = None,
    *,
    max_numbers: int = MAX_NUMBERS,
) -> Float[Tensor, "b"]:
    """Maximum symmetry-aware surface distance: least over the symmetries of the greatest displacement of a point.

    A displacement (R̂ − R) x + t̂ − t grows convexly in x, so that only corners of the convex hull are looked at.
    """
    corners = _hull(points.double())

    def distance(a: SE3, b: SE3) -> Tensor:
        return _displacement(a, b, corners).amax(-1)

    return _least(estimate, truth, symmetries or Symmetries(), len(corners), max_numbers, distance)


def mspd(
    estimate: SE3,
    truth: SE3,
    points: Float[Tensor, "n 3"],
    camera: Camera,
    symmetries: Symmetries | None = None,
    *,
    max_numbers: int = MAX_NUMBERS,
) -> Float[Tensor, "b"]:
    """Maximum symmetry-aware projection distance, pixels of `camera`.

    Differs from the BOP toolkit where a point lies behind the camera: that cannot be seen and is infinitely wrong.
    """
    model = points.double()

    def pixels(pose: SE3) -> Tensor:
        found, _ = camera.project(_placed(pose, model))
        return torch.where((found == -1).all(-1, keepdim=True), math.inf, found)  # `project` says -1 of those behind

    def distance(a: SE3, b: SE3) -> Tensor:
        return (pixels(a) - pixels(b)).norm(dim=-1).amax(-1)

    return _least(estimate, truth, symmetries or Symmetries(), 2 * len(model), max_numbers, distance)


def object_errors(
    estimate: SE3, truth: SE3, symmetries: Symmetries | None = None
) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
    """Rotation error in degrees, and distance of the objects' origins in model units, for n° n cm.

    Of the equivalent truths, the one with the least rotation error counts for both. Turns about an axis are not
    sampled: the best one is known in closed form, and what is left is the angle between the axes.
    """
    a = estimate.double()
    b = (symmetries or Symmetries()).nearest(truth.double(), to=a)
    angle, distance = torch.rad2deg(so3.angle(a.R, b.R)), (a.t - b.t).norm(dim=-1)
    failed = ~(angle.isfinite() & distance.isfinite())
    return angle.masked_fill(failed, math.inf), distance.masked_fill(failed, math.inf)


def area_under_curve(errors: Float[Tensor, "n"], limit: float) -> float:
    """Area under accuracy against threshold from 0 to `limit`, divided by `limit`: mean of max(0, 1 − e/limit), exact.

    The PoseCNN toolbox (limit 0.1 m) takes each step's upper value and gives at most 1/n more.
    """
    return float((1 - errors.double() / limit).clamp_min(0).mean()) if len(errors) else 0.0


def _displacement(a: SE3, b: SE3, points: Tensor) -> Tensor:
    """Distances of each point between poses `a` and `b`, (..., n)."""
    return _placed(SE3(a.R - b.R, a.t - b.t), points).norm(dim=-1)


def _placed(pose: SE3, points: Float[Tensor, "n 3"]) -> Float[Tensor, "*b n 3"]:
    """The same points moved by every pose."""
    return points @ pose.R.mT + pose.t[..., None, :]


def _least(
    estimate: SE3,
    truth: SE3,
    symmetries: Symmetries,
    numbers: int,
    max_numbers: int,
    distance: Callable[[SE3, SE3], Tensor],
) -> Tensor:
    """The least over the symmetries S of distance(estimate, truth @ S), in parts of at most `max_numbers`."""
    a, b = estimate.double()[:, None], truth.double()[:, None]
    motions = symmetries.sampled()
    motions = SE3(motions.R.to(b.R), motions.t.to(b.t))[None]
    poses = max(1, max_numbers // (3 * numbers * motions.t.shape[1]))
    turns = max(1, max_numbers // (3 * numbers * poses))
    found = torch.full((len(estimate),), math.inf, dtype=torch.float64, device=b.t.device)
    for start in range(0, len(estimate), poses):
        part = slice(start, start + poses)
        for first in range(0, motions.t.shape[1], turns):
            errors = distance(a[part], b[part] @ motions[:, first : first + turns]).nan_to_num(math.inf, math.inf)
            found[part] = torch.minimum(found[part], errors.amin(-1))
    return found


def _hull(points: Tensor) -> Tensor:
    """Corners of the convex hull; all points where it is flat."""
    from scipy.spatial import ConvexHull, QhullError

    with suppress(QhullError, ValueError):
        return points[torch.as_tensor(ConvexHull(points.cpu().numpy()).vertices, device=points.device).long()]
    return points
