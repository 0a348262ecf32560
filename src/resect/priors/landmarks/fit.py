"""From posed photos to a map of landmarks: detect, match, triangulate, keep what holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.priors.landmarks.calibrate import measure
from resect.priors.landmarks.features import Features, detect
from resect.priors.landmarks.guided import Points
from resect.priors.landmarks.matching import match_all, tracks
from resect.priors.landmarks.prior import Landmarks, quantised
from resect.priors.landmarks.settings import LandmarkSettings
from resect.priors.landmarks.triangulate import Observations, covariance, residuals, triangulate, widest_angle
from resect.training.log import Progress
from resect.types import PhotoSet


@dataclass(frozen=True, eq=False)
class TriangulatedPoints:
    """Points seen in several photos of a set, as structure from motion with known poses finds them.

    Attributes:
        xyz: world units.
        error_px: root mean square reprojection error of each, working pixels.
        views: how many photos see each.
        covariance: of each, world units squared.
        size: diameter of the neighbourhood that was recognised, world units.
        track: of each observation, which point it sees.
        photo: of each observation, the index of its photo in the set.
        pixels: of each observation, in that photo.
        descriptors: of each observation.
    """

    xyz: Float[Tensor, "n 3"]
    error_px: Float[Tensor, "n"]
    views: Int[Tensor, "n"]
    covariance: Float[Tensor, "n 3 3"]
    size: Float[Tensor, "n"]
    track: Int[Tensor, "m"]
    photo: Int[Tensor, "m"]
    pixels: Float[Tensor, "m 2"]
    descriptors: Float[Tensor, "m 128"]

    def __len__(self) -> int:
        return len(self.xyz)


def triangulated_points(
    data: PhotoSet, settings: LandmarkSettings | None = None, *, progress: Progress | None = None
) -> TriangulatedPoints:
    """Points of all photos of `data` (give it training photos only), from their given poses.

    Args:
        data: posed photos; at least two.
        settings: thresholds.
        progress: called with (done, total, remark).
    """
    settings = settings or LandmarkSettings()
    return _points(_sightings(data, settings, progress), settings)


@dataclass(frozen=True, eq=False)
class _Sightings:
    """All features of all photos, numbered photo after photo, and which of them match."""

    features: list[Features]
    seen: Observations
    edges: Int[Tensor, "e 2"]

    def without(self, photos: Sequence[int]) -> "_Sightings":
        """As if these photos had not been there: what was matched through them falls apart."""
        left_out = torch.isin(self.seen.photo, torch.tensor(photos))
        edges = self.edges[~left_out[self.edges].any(1)]
        return replace(self, edges=edges, seen=replace(self.seen, track=tracks(edges, len(self.seen))))


def _sightings(data: PhotoSet, settings: LandmarkSettings, progress: Progress | None) -> _Sightings:
    if len(data) < 2:
        raise ResectError("photos to triangulate from", "at least 2", str(len(data)), "Add posed photos.")
    say = progress or (lambda done, total, remark: None)
    found = []
    for i in range(len(data)):
        found.append(_features(data, i, settings))
        say(i + 1, len(data) + 2, "features")
    cam_from_world = data.truth.cam_from_world.double()
    rays = [camera.rays(f.pixels.double()) for camera, f in zip(data.cameras, found, strict=True)]
    pixel_rad = [camera.pixel_rad * f.scale for camera, f in zip(data.cameras, found, strict=True)]
    edges = match_all([f.descriptors for f in found], rays, pixel_rad, cam_from_world, settings)
    say(len(data) + 1, len(data) + 2, "matched")
    photo = torch.repeat_interleave(torch.arange(len(data)), torch.tensor([len(f) for f in found]))
    angle = torch.tensor(pixel_rad, dtype=torch.float64)[photo]
    track = tracks(edges, len(photo))
    return _Sightings(found, Observations(track, photo, torch.cat(rays), angle, cam_from_world[photo]), edges)


def _points(sightings: _Sightings, settings: LandmarkSettings) -> TriangulatedPoints:
    points, kept, seen = _settle(sightings.seen, settings)
    found = sightings.features
    pixels = torch.cat([f.pixels for f in found])[kept]
    wide = torch.cat([f.sizes / f.scale for f in found])[kept] * seen.pixel_rad
    return _record(seen, points, pixels, wide, torch.cat([f.descriptors for f in found])[kept])


def fit(
    data: PhotoSet,
    settings: LandmarkSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Landmarks:
    """Makes the landmark map of training photos; nothing in it is random.

    Args:
        data: training photos only, e.g. `data.subset(split.train)`.
        settings: thresholds.
        out: folder to save to.
        parents: none are needed.
        resume: a map takes seconds and is made whole.
        generator: not needed.
        progress: called with (done, total, remark).
    """
    settings = settings or LandmarkSettings()
    sightings = _sightings(data, settings, progress)
    found = _points(sightings, settings)
    if len(found) < settings.min_inliers:
        fix = "The photos may lack texture or overlap, or the poses are wrong: try 'resect data check'."
        raise ResectError("landmarks", f"at least {settings.min_inliers} points", str(len(found)), fix)

    def second(left_out: Sequence[int]) -> Landmarks:
        kept = data.subset([i for i in range(len(data)) if i not in set(left_out)])
        return _map(_points(sightings.without(left_out), settings), data, kept.truth.cam_from_world, settings)

    known = _map(found, data, data.truth.cam_from_world, settings)
    made = replace(known, excess=measure(second, sightings.features, data))
    if out is not None:
        made.save(out)
    return made


def _features(data: PhotoSet, index: int, settings: LandmarkSettings) -> Features:
    photo = data[index]
    return detect(photo, max_side=settings.max_side, max_features=settings.max_features, contrast=settings.contrast)


def _settle(
    seen: Observations, settings: LandmarkSettings
) -> tuple[Float[Tensor, "t 3"], Int[Tensor, "m"], Observations]:
    """Triangulates, drops observations that disagree, does it again, drops points that do not hold.

    Returns the points, the rows of `seen` that were kept and those rows themselves, tracks renumbered.
    """
    kept = (seen.track >= 0).nonzero()[:, 0]
    rows = seen.take(kept)
    for limit in (2 * settings.reprojection_px, settings.reprojection_px):
        count = int(rows.track.max()) + 1 if len(rows) else 0
        points = triangulate(rows, count, robust_px=0.5 * settings.reprojection_px)
        r, _, ahead = residuals(rows, points[rows.track])
        error = torch.where(ahead, r.norm(dim=-1), torch.full_like(r[:, 0], torch.inf))
        good = _best_of_photo(rows, error) & (error < limit)
        kept, rows = kept[good], rows.take(good)
    points = triangulate(rows, count, robust_px=0.5 * settings.reprojection_px)
    holds = torch.bincount(rows.track, minlength=count) >= settings.min_views
    holds &= widest_angle(rows, points) > torch.deg2rad(torch.tensor(settings.min_angle_deg))
    holds &= points.isfinite().all(-1)
    stays = holds[rows.track]
    number = holds.cumsum(0) - 1
    rows, kept = rows.take(stays), kept[stays]
    renumbered = Observations(number[rows.track], rows.photo, rows.ray, rows.pixel_rad, rows.cam_from_world)
    return points[holds], kept, renumbered


def _best_of_photo(seen: Observations, error: Float[Tensor, "n"]) -> Tensor:
    """True for the observation with the least error among those of one photo in one track."""
    order = error.argsort(stable=True)
    key = seen.track[order] * (int(seen.photo.max()) + 1 if len(seen) else 1) + seen.photo[order]
    key, first = key.sort(stable=True)
    lead = torch.ones_like(key, dtype=torch.bool)
    lead[1:] = key[1:] != key[:-1]
    best = torch.zeros(len(seen), dtype=torch.bool)
    best[order[first[lead]]] = True
    return best


def _record(
    seen: Observations,
    points: Float[Tensor, "t 3"],
    pixels: Float[Tensor, "m 2"],
    wide_rad: Float[Tensor, "m"],
    descriptors: Float[Tensor, "m 128"],
) -> TriangulatedPoints:
    r, _, _ = residuals(seen, points[seen.track])
    views = torch.bincount(seen.track, minlength=len(points))
    square = torch.zeros(len(points), dtype=r.dtype).index_add_(0, seen.track, (r * r).sum(-1))
    error = (square / views.clamp_min(1)).sqrt()
    sigma = float((r.abs().median() * 1.4826).clamp_min(0.05)) if len(r) else 1.0
    spread = covariance(seen, points, sigma)
    width = wide_rad.double() * (points[seen.track] - seen.cam_from_world.center).norm(dim=-1)
    mean_log = torch.zeros(len(points), dtype=r.dtype).index_add_(0, seen.track, width.log()) / views.clamp_min(1)
    return TriangulatedPoints(points, error, views, spread, mean_log.exp(), seen.track, seen.photo, pixels, descriptors)


def _map(found: TriangulatedPoints, data: PhotoSet, training: SE3, settings: LandmarkSettings) -> Landmarks:
    total = torch.zeros(len(found), 128).index_add_(0, found.track, found.descriptors)
    away = torch.nn.functional.normalize(
        data.truth.cam_from_world.double().center[found.photo] - found.xyz[found.track], dim=-1
    )
    toward = torch.zeros(len(found), 3, dtype=torch.float64).index_add_(0, found.track, away)
    order = found.views.argsort(descending=True, stable=True)[: settings.max_landmarks].sort().values
    mean = torch.nn.functional.normalize(total[order], dim=-1)
    points = Points(
        found.xyz[order],
        found.covariance[order],
        torch.nn.functional.normalize(toward[order], dim=-1),
        found.size[order],
        quantised(mean),
    )
    return Landmarks(settings, points, found.views[order], data.cameras[0], training.double())
