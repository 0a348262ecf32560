"""Recognises the usual ways in which a file of poses means something else than it is read as."""

import torch
from torch import Tensor

from resect.geometry import so3
from resect.geometry.conventions import flip_opengl, wxyz_from_xyzw
from resect.geometry.se3 import SE3
from resect.metrics.pose import pose_errors

_CLEAR = 0.25  # a reading must make the median error at least four times smaller before it is suggested


def likely_mistakes(estimate: SE3, truth: SE3) -> tuple[str, ...]:
    """Sentences about another reading of the file that would agree with the truth; none where it agrees as it is.

    Args:
        estimate: the poses as they were read, failures left out.
        truth: of the same photos.
    """
    if len(estimate) < 2:
        return ()
    rotation, distance = (x.median() for x in pose_errors(estimate, truth))
    spread = (truth.center - truth.center.mean(0)).norm(dim=-1).median()
    if rotation < 10:
        return _translations(estimate, truth, float(rotation), float(distance), float(spread))
    for meaning, reading in _readings(estimate):
        other = pose_errors(reading, truth)[0].median()
        if other < 5 and other < _CLEAR * rotation:
            return (
                f"The file looks as if {meaning}: read so, the median rotation error is {float(other):.2f}° instead of "
                f"{float(rotation):.1f}°. Nothing was changed; convert the file and score it again.",
            )
    return ()


def _readings(poses: SE3) -> list[tuple[str, SE3]]:
    swapped = SE3(so3.from_quaternion(wxyz_from_xyzw(so3.to_quaternion(poses.R))), poses.t)
    inverse = poses.inverse()
    return [
        ("its quaternions were x y z w", swapped),
        ("its poses were world from camera", inverse),
        ("its cameras had OpenGL axes", flip_opengl(poses, "cam_from_world")),
        ("its poses were world from camera, with OpenGL axes", flip_opengl(inverse, "cam_from_world")),
        ("its poses were world from camera, with quaternions x y z w", swapped.inverse()),
    ]


def _translations(estimate: SE3, truth: SE3, rotation: float, distance: float, spread: float) -> tuple[str, ...]:
    centers_for_t = SE3(estimate.R, -(estimate.R @ estimate.t[..., None])[..., 0])
    other = float(pose_errors(centers_for_t, truth)[1].median())
    if distance > 0.5 * spread and other < _CLEAR * distance and other < 0.1 * spread:
        return ("The translation columns look like camera centres; they must hold t of cam_from_world, −R × centre.",)
    ratio = _length_ratio(estimate.center, truth.center)
    for factor, name in ((1000.0, "millimetres"), (100.0, "centimetres")):
        if abs(ratio / factor - 1) < 0.05 and rotation < 5:
            return (f"The translations look like {name} where the truth has metres.",)
    return ()


def _length_ratio(a: Tensor, b: Tensor) -> float:
    spread = [(x - x.median(0).values).norm(dim=-1).median() for x in (a, b)]
    return float(spread[0] / spread[1].clamp_min(torch.finfo(b.dtype).tiny))
