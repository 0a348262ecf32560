"""Do poses agree with photos? Matched features must lie on each other's epipolar lines.

Where they do not, the usual mistakes are tried in turn, and the one that would make them agree is named.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from resect.data.epipolar import Features, find_features, match, sampson_error
from resect.data.image import resize_area
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.conventions import flip_opengl
from resect.geometry.se3 import SE3
from resect.types import Photo, PhotoSet

_MAX_SIDE = 800
_MAX_FEATURES = 1500
_PAIRS = 8
_LEAST_MATCHES = 40
_AGREE_PX, _DISAGREE_PX = 2.0, 5.0


@dataclass(frozen=True)
class Finding:
    """One sentence about the data: "ok", "note" (good to know), "warning" (look at it) or "error" (do not use it)."""

    level: Literal["ok", "note", "warning", "error"]
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """Whether poses agree with photos.

    Attributes:
        error_px: median distance of matches to their epipolar lines; `None` without enough matches.
        matches: number of them.
        finding: the sentence.
    """

    error_px: float | None
    matches: int
    finding: Finding


@dataclass(frozen=True, eq=False)
class Pair:
    """Features of photos i and j that match, at the size that the cameras are for."""

    i: int
    j: int
    camera_i: Camera
    camera_j: Camera
    pixels_i: Tensor
    pixels_j: Tensor


def match_some(
    photos: PhotoSet, scale: float, progress: Callable[[str, float], None]
) -> tuple[list[Pair], dict[str, float]]:
    """Matches of a few pairs of photos, and how sharp each of those photos is."""
    seen: dict[int, tuple[Features, Camera]] = {}
    sharpness: dict[str, float] = {}
    pairs = []
    wanted = _pairs(photos, scale)
    for k, (i, j) in enumerate(wanted):
        progress("comparing poses with photos", k / len(wanted))
        for n in (i, j):
            if n not in seen:
                photo = _reduced(photos[n])
                seen[n] = find_features(photo, _MAX_FEATURES), photo.known_camera()
                sharpness[photo.name] = _sharpness(photo)
        (a, camera_a), (b, camera_b) = seen[i], seen[j]
        pairs.append(Pair(i, j, camera_a, camera_b, *match(a, b)))
    return pairs, sharpness


def _pairs(photos: PhotoSet, scale: float) -> list[tuple[int, int]]:
    """Pairs near in pose, and neighbours by name in case the poses are wrong."""
    poses = photos.truth.cam_from_world.double()
    count = len(photos)
    chosen: dict[tuple[int, int], None] = {}
    for k in range(_PAIRS):
        i = k * count // _PAIRS
        if k % 2:
            j = min(i + 1, count - 1)
        else:
            distance = (poses.center - poses.center[i]).norm(dim=-1) / max(scale, 1e-12)
            cost = distance + so3.angle(poses.R, poses.R[i].expand_as(poses.R)) + 10 * (distance < 0.02)
            cost[i] = torch.inf
            j = int(cost.argmin())
        if i != j:
            chosen[min(i, j), max(i, j)] = None
    return list(chosen)


def _reduced(photo: Photo) -> Photo:
    camera = photo.known_camera().fit_within(_MAX_SIDE)
    return Photo(photo.name, resize_area(photo.image, camera.width, camera.height), camera)


def judge_poses(cam_from_world: SE3, pairs: list[Pair]) -> Verdict:
    """Whether poses agree with matches, and if not, which of the usual mistakes explains it."""
    count = sum(len(p.pixels_i) for p in pairs)
    if count < _LEAST_MATCHES:
        said = f"Too few features match between photos ({count}) to compare the poses with them."
        return Verdict(None, count, Finding("note", said))
    given = _median_error(cam_from_world, pairs)
    if given <= _AGREE_PX:
        said = f"The poses agree with the photos: {count} matches lie {given:.2f} pixels (median) off their epipolar"
        return Verdict(given, count, Finding("ok", f"{said} lines."))
    error, best = min((_median_error(other, pairs), name) for name, other in _mistakes(cam_from_world))
    shown = (
        f"lie {given:.1f} pixels (median) off their epipolar lines" if math.isfinite(given) else "lie behind cameras"
    )
    said = f"The poses do not agree with the photos: {count} matches {shown}"
    if error < min(given / 3, _DISAGREE_PX):
        return Verdict(given, count, Finding("error", f"{said}, but {error:.1f} {best}. Correct the file."))
    level: Literal["error", "warning"] = "error" if given > 2 * _DISAGREE_PX else "warning"
    hint = "Are photos and poses in the same order, and the focal length for this image size?"
    return Verdict(given, count, Finding(level, f"{said}, and no usual mistake explains it. {hint}"))


def _median_error(cam_from_world: SE3, pairs: list[Pair]) -> float:
    errors = [
        sampson_error(
            p.pixels_i, p.pixels_j, p.camera_i, p.camera_j, cam_from_world[p.j] @ cam_from_world[p.i].inverse()
        )
        for p in pairs
    ]
    return float(torch.cat(errors).median())


def _mistakes(given: SE3) -> list[tuple[str, SE3]]:
    """What the poses would be if one of the usual mistakes had been made, with the words that say so."""
    inverse = given.inverse()
    q, q_inverse = so3.to_quaternion(given.R), so3.to_quaternion(inverse.R)
    order = "with quaternions in the other order (wxyz against xyzw)"
    swapped = [(order, SE3(so3.from_quaternion(q.roll(k, -1)), given.t)) for k in (1, -1)]
    swapped += [(order, SE3(so3.from_quaternion(q_inverse.roll(k, -1)), inverse.t).inverse()) for k in (1, -1)]
    turned = SE3(given.R.mT, -(given.R.mT @ given.center[..., None])[..., 0])
    return [
        (
            "with the y and z axes of the cameras flipped (OpenGL against OpenCV axes)",
            flip_opengl(given, "cam_from_world"),
        ),
        ("with the poses inverted (camera-to-world against world-to-camera)", inverse),
        ("with the poses inverted, then y and z flipped", flip_opengl(inverse, "cam_from_world")),
        ("with the rotations transposed about the camera centres", turned),
        *swapped,
    ]


def _sharpness(photo: Photo) -> float:
    """Variance of the Laplacian over the variance of the picture: low where a photo is blurred."""
    grey = photo.image.mean(-1)
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(laplacian.var() / grey.var().clamp_min(1e-9))


def judge_blur(sharpness: dict[str, float]) -> list[Finding]:
    """What to say of photos that are much less sharp than the middle one."""
    middle = sorted(sharpness.values())[len(sharpness) // 2]
    blurred = [name for name, s in sharpness.items() if s < 0.15 * middle]
    if not blurred:
        return []
    return [Finding("note", f"{len(blurred)} of {len(sharpness)} photos looked at are much less sharp: {blurred[0]} …")]
