"""The part of a photo in which an object is: everything else costs pixels and says nothing."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.types import Photo

Sphere = tuple[Float[Tensor, "3"], float]


def sphere_around(bounds: Float[Tensor, "2 3"]) -> Sphere:
    """Middle and radius of the sphere around a box."""
    return bounds.mean(0), float((bounds[1] - bounds[0]).norm()) / 2


def projected_circles(
    photo: Photo, sphere: Sphere, cam_from_world: SE3
) -> tuple[Float[Tensor, "h 2"], Float[Tensor, "h"], Float[Tensor, "h"]]:
    """Where H poses put a sphere in the photo: middle (pixels), radius (pixels) and distance (units; ≤ 0 behind)."""
    camera = photo.known_camera()
    center = cam_from_world.double().apply(sphere[0].double().expand(len(cam_from_world), 1, 3))[:, 0]
    pixels, _ = camera.project(center)
    radius = sphere[1] / center[:, 2].clamp_min(1e-9) / camera.pixel_rad
    return pixels, radius, center[:, 2]


def crop_around(photo: Photo, sphere: Sphere, cam_from_world: SE3, margin: float) -> Photo | None:
    """The photo cut to what H poses may show, `margin` times the sphere's radius on each side; `None` out of view.

    The rest of the photo (mask, depth, target's mask) is cut alike, so poses hold unchanged.
    """
    pixels, radius, distance = projected_circles(photo, sphere, cam_from_world)
    ahead = distance > 0
    if not bool(ahead.any()):
        return None
    reach = margin * radius[ahead, None]
    low = (pixels[ahead] - reach).amin(0).floor().clamp_min(0)
    high = (pixels[ahead] + reach).amax(0).ceil()
    height, width = photo.image.shape[:2]
    left, top = (int(x) for x in low.tolist())
    right, bottom = min(width, int(high[0])), min(height, int(high[1]))
    if right - left < 4 or bottom - top < 4:
        return None
    return cut(photo, left, top, right, bottom)


def cut(photo: Photo, left: int, top: int, right: int, bottom: int) -> Photo:
    """Pixels [top, bottom) × [left, right) of a photo, with the camera that took them."""

    def part(plane: Tensor | None) -> Tensor | None:
        return None if plane is None else plane[top:bottom, left:right]

    target = photo.target
    if target is not None:
        box = target.box
        moved = None if box is None else (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
        target = replace(target, box=moved, mask=part(target.mask))
    return replace(
        photo,
        image=photo.image[top:bottom, left:right],
        camera=photo.known_camera().crop(left, top, right - left, bottom - top),
        target=target,
        depth=part(photo.depth),
        alpha=part(photo.alpha),
        mask=part(photo.mask),
    )
