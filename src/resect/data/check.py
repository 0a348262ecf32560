"""Is this data what it seems? Axes, units, focal lengths, duplicates, blur, and whether poses agree with the photos."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.agreement import Finding, judge_blur, judge_poses, match_some
from resect.data.frame import LookAt, look_at_point, scene_scale
from resect.data.split import make_split
from resect.geometry.camera import Camera
from resect.types import PhotoSet, Split


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Attributes:
        format: the format that was read.
        photos: how many there are.
        train: how many are learned from.
        test: how many are held out.
        split: the rule.
        scene_scale: mean distance of the training cameras from what they look at, world units.
        meters_per_unit: length of one unit; `None` if unknown.
        fov_deg: least and greatest horizontal field of view.
        sizes: image sizes (width, height), most frequent first.
        look_at: the point nearest the optical axes.
        ahead: share of the cameras that have it before them.
        miss_deg: median angle between optical axes and the direction to it.
        up: mean up direction of the cameras.
        up_agreement: 1 where all cameras agree on it.
        depth_range: nearest and farthest content, if known.
        epipolar_px: median distance of matches to their epipolar lines; `None` without enough of them.
        matches: number of them.
        findings: sentences, the most serious first.
    """

    format: str
    photos: int
    train: int
    test: int
    split: str
    scene_scale: float
    meters_per_unit: float | None
    fov_deg: tuple[float, float]
    sizes: tuple[tuple[int, int], ...]
    look_at: tuple[float, float, float]
    ahead: float
    miss_deg: float
    up: tuple[float, float, float]
    up_agreement: float
    depth_range: tuple[float, float] | None
    epipolar_px: float | None
    matches: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong (warnings are allowed)."""
        return not any(f.level == "error" for f in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {**asdict(self), "ok": self.ok}


def check(
    photos: PhotoSet,
    split: Split | None = None,
    *,
    matches: bool = True,
    progress: Callable[[str, float], None] = lambda *_: None,
) -> CheckReport:
    """Examines posed photos.

    Args:
        photos: what `read` gave.
        split: default: the set's own rule, where there are enough photos for one.
        matches: compare the poses with the photos by matched features (reads up to 16 photos).
        progress: called with what is being done and the share that is done.
    """
    if split is None:
        split = make_split(photos) if len(photos) > 1 else Split((0,), (), "all")
    poses = photos.truth.cam_from_world.double()
    scale, look = scene_scale(photos, split), look_at_point(poses)
    findings = [Finding("warning" if "swapped" in n else "note", n) for n in photos.notes]
    findings += [
        *_counts(photos),
        *_lenses(photos.cameras),
        *_gaze(look, scale, len(photos)),
        *_duplicates(photos, scale),
    ]
    findings += _units(photos, scale)
    error_px, count = None, 0
    if matches and len(photos) > 1:
        pairs, sharpness = match_some(photos, scale, progress)
        verdict = judge_poses(poses, pairs)
        error_px, count = verdict.error_px, verdict.matches
        findings += [verdict.finding, *judge_blur(sharpness)]
    order = ("error", "warning", "note", "ok")
    sizes = [(c.width, c.height) for c in photos.cameras]
    angles = [_fov_deg(c) for c in photos.cameras]
    return CheckReport(
        format=photos.format,
        photos=len(photos),
        train=len(split.train),
        test=len(split.test),
        split=split.rule,
        scene_scale=scale,
        meters_per_unit=photos.world.meters_per_unit,
        fov_deg=(min(angles), max(angles)),
        sizes=tuple(sorted(set(sizes), key=lambda s: -sizes.count(s))),
        look_at=_triple(look.point),
        ahead=look.ahead,
        miss_deg=look.miss_deg,
        up=_triple(look.up),
        up_agreement=look.up_agreement,
        depth_range=photos.world.depth_range,
        epipolar_px=error_px,
        matches=count,
        findings=tuple(sorted(findings, key=lambda f: order.index(f.level))),
    )


def _triple(v: Float[Tensor, "3"]) -> tuple[float, float, float]:
    x, y, z = v.tolist()
    return x, y, z


def _fov_deg(camera: Camera) -> float:
    return math.degrees(2 * math.atan2(camera.width / 2, camera.fx))


def _counts(photos: PhotoSet) -> list[Finding]:
    if len(photos) == 1:
        return [Finding("error", "There is one photo; a scene needs more, taken from different places.")]
    if len(photos) < 10:
        return [Finding("warning", f"There are only {len(photos)} photos; 30 to 100 make a good scene.")]
    return []


def _lenses(cameras: tuple[Camera, ...]) -> list[Finding]:
    found = []
    for camera in dict.fromkeys(cameras):
        w, h = camera.width, camera.height
        name = f"The camera of {w}x{h} with focal length {camera.fx:.1f}"
        if not 15 < _fov_deg(camera) < 140 and camera.model != "fisheye":
            said = (
                f"{name} sees {_fov_deg(camera):.0f} degrees across; was the focal length given for another image size?"
            )
            found.append(Finding("warning", said))
        if abs(camera.fx / camera.fy - 1) > 0.05:
            found.append(
                Finding("warning", f"{name} has another one down, {camera.fy:.1f}; pixels are rarely so oblong.")
            )
        if abs(camera.cx - w / 2) > 0.1 * w or abs(camera.cy - h / 2) > 0.1 * h:
            said = f"{name} has its principal point at ({camera.cx:.0f}, {camera.cy:.0f}), far from the image's centre."
            found.append(Finding("warning", f"{said} Right for cropped photos only."))
    return found[:6]


def _gaze(look: LookAt, scale: float, count: int) -> list[Finding]:
    found = []
    if count > 2 and look.ahead < 0.2 and look.miss_deg < 30:
        said = (
            "The cameras look away from each other: the axes may be flipped (or it is a panorama taken from one place)."
        )
        found.append(Finding("warning", said))
    elif look.ahead > 0.9 and look.miss_deg < 30:
        found.append(Finding("ok", f"The cameras look at a common place (median {look.miss_deg:.1f} degrees off it)."))
    else:
        said = (
            f"The cameras do not look at one place ({100 * look.ahead:.0f} % have it ahead), as in a room or a street."
        )
        found.append(Finding("note", said))
    if count > 2 and look.up_agreement < 0.5:
        found.append(Finding("note", "The cameras do not agree on which way is up."))
    far = float(look.point.norm())
    if scale > 0 and far > 1e4 * scale:
        said = (
            f"The cameras are {far / scale:.0f} scene scales from the origin; subtract an offset, or digits are lost."
        )
        found.append(Finding("warning", said))
    return found


def _units(photos: PhotoSet, scale: float) -> list[Finding]:
    meters = photos.world.meters_per_unit
    if meters is None:
        said = "Length of a unit is unknown; errors are told in scene scales. 'resect data scale' fixes it."
        return [Finding("note", said)]
    if not 0.02 < scale * meters < 2000:
        return [Finding("warning", f"The scene is {scale * meters:.3g} m in scale; is the unit really {meters:g} m?")]
    return []


def _duplicates(photos: PhotoSet, scale: float) -> list[Finding]:
    poses = photos.truth.cam_from_world.double()
    key = torch.cat([poses.center / max(scale, 1e-12), poses.R.flatten(1)], 1).mul(1e6).round().long()
    twins = len(key) - len(key.unique(dim=0))
    if twins == 0:
        return []
    return [
        Finding(
            "warning", f"{twins} photos have the same pose as another; the same photo may be on both sides of a split."
        )
    ]
