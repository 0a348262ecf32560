"""The metric scale of a world from one known distance: between two cameras, or between two points seen in photos."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError, unknown_name
from resect.geometry.se3 import SE3
from resect.types import Photo, PhotoSet, Truth

_ITERATIONS = 10
_WORST_PX = 10.0
_LEAST_ANGLE_DEG = 1.0


@dataclass(frozen=True)
class Mark:
    """A point pointed at in a photo, in pixels from the upright photo's upper left corner."""

    photo: str
    x: float
    y: float


def scale_world(photos: PhotoSet, factor: float) -> PhotoSet:
    """The same photos in a world whose lengths are `factor` times as long, in metres from now on."""
    if not 0 < factor < float("inf"):
        raise ResectError("scale", "a positive factor", str(factor))
    poses, world, load = photos.truth.cam_from_world, photos.world, photos.load

    def scaled(i: int) -> Photo:
        photo = load(i)
        return photo if photo.depth is None else replace(photo, depth=photo.depth * factor)

    depth_range = world.depth_range and (world.depth_range[0] * factor, world.depth_range[1] * factor)
    return replace(
        photos,
        truth=Truth(SE3(poses.R, poses.t * factor), photos.truth.symmetries),
        world=replace(
            world,
            meters_per_unit=1.0,
            bounds=None if world.bounds is None else world.bounds * factor,
            depth_range=depth_range,
        ),
        load=scaled,
    )


def meters_from_cameras(photos: PhotoSet, first: str, second: str, distance_m: float) -> float:
    """Metres per unit, from the distance between the places where two photos were taken."""
    centers = photos.truth.cam_from_world.double().center
    length = float((centers[_index(photos, first)] - centers[_index(photos, second)]).norm())
    return _ratio(distance_m, length, f"cameras of {first} and {second}")


def meters_from_points(
    photos: PhotoSet, first: Sequence[Mark], second: Sequence[Mark], distance_m: float
) -> tuple[float, float]:
    """Metres per unit, from the distance between two points, each marked in at least two photos.

    Returns:
        Metres per unit, and the largest distance in pixels between a mark and the point it stands for.
    """
    (a, error_a), (b, error_b) = triangulate(photos, first), triangulate(photos, second)
    return _ratio(distance_m, float((a - b).norm()), "the two points"), max(error_a, error_b)


def triangulate(photos: PhotoSet, marks: Sequence[Mark]) -> tuple[Float[Tensor, "3"], float]:
    """The point nearest to the rays through its marks, weighted by 1/distance² so that angles count; world units.

    Returns:
        The point, and the largest reprojection error in pixels.

    Raises:
        ResectError: fewer than two photos, nearly parallel rays, or marks more than 10 pixels off.
    """
    if len({mark.photo for mark in marks}) < 2:
        raise ResectError("marks", "a point marked in at least two photos", f"{len({m.photo for m in marks})}")
    indices = [_index(photos, mark.photo) for mark in marks]
    poses = photos.truth.cam_from_world.double()[indices]
    pixels = torch.tensor([[m.x, m.y] for m in marks], dtype=torch.float64)
    for mark, i in zip(marks, indices, strict=True):
        camera = photos.cameras[i]
        if not (0 <= mark.x <= camera.width and 0 <= mark.y <= camera.height):
            raise ResectError(mark.photo, f"a mark within {camera.width}x{camera.height}", f"({mark.x}, {mark.y})")
    rays = torch.stack([photos.cameras[i].rays(p) for i, p in zip(indices, pixels, strict=True)])
    world_rays = (poses.R.mT @ rays[..., None])[..., 0]
    point = _nearest_to_rays(poses.center, world_rays)
    in_camera = poses.apply(point.expand(len(marks), 1, 3))[:, 0]
    projected = torch.stack([photos.cameras[i].project(p)[0] for i, p in zip(indices, in_camera, strict=True)])
    worst = float((projected - pixels).norm(dim=-1).max())
    if bool((in_camera[:, 2] <= 0).any()) or worst > _WORST_PX:
        fix = "Is it the same point in all of them?"
        raise ResectError("marks", f"marks within {_WORST_PX:g} pixels of one point", f"{worst:.1f} pixels", fix)
    return point, worst


def _nearest_to_rays(centers: Float[Tensor, "n 3"], rays: Float[Tensor, "n 3"]) -> Float[Tensor, "3"]:
    widest = torch.rad2deg(torch.acos((rays @ rays.T).clamp(-1, 1).min()))
    if float(widest) < _LEAST_ANGLE_DEG:
        fix = "Mark it in photos taken further apart."
        raise ResectError("marks", f"rays that differ by {_LEAST_ANGLE_DEG:g} degree", f"{float(widest):.2f}", fix)
    across = torch.eye(3, dtype=rays.dtype) - rays[:, :, None] * rays[:, None, :]
    weight = torch.ones(len(rays), dtype=rays.dtype)
    point = centers.mean(0)
    for _ in range(_ITERATIONS):
        weighted = weight[:, None, None] * across
        point = torch.linalg.solve(weighted.sum(0), (weighted @ centers[..., None]).sum(0)[:, 0])
        weight = 1 / (point - centers).square().sum(-1).clamp_min(1e-12)
    return point


def _index(photos: PhotoSet, name: str) -> int:
    if name in photos.names:
        return photos.names.index(name)
    short = [i for i, n in enumerate(photos.names) if n.rsplit("/", 1)[-1] == name]
    if len(short) != 1:
        raise unknown_name("photo", name, photos.names)
    return short[0]


def _ratio(distance_m: float, length: float, where: str) -> float:
    if not 0 < distance_m < float("inf"):
        raise ResectError("distance", "a positive number of metres", str(distance_m))
    if not length > 0:
        raise ResectError(where, "different places", "the same place")
    return distance_m / length
