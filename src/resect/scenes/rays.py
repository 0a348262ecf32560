"""What scenes that are looked at along rays share: the question checked, the photo laid on what is behind, depths."""

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.image import resize_area
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.types import Channel, Photo, Render


def check_asked(
    where: str, want: tuple[Channel, ...], channels: tuple[Channel, ...], code: Tensor | None, no_code: str
) -> None:
    """Refuses channels that a scene has not, and codes where it takes none.

    Args:
        where: of the scene, for messages.
        want: what is asked for.
        channels: what there is.
        code: as given to `render`.
        no_code: why there is none.
    """
    for name in want:
        if name not in channels:
            raise unknown_name(f"{where}.render: want", name, channels)
    if code is not None and code.shape[-1] > 0:
        raise ResectError(f"{where}.render: code", f"none; {no_code}", f"{tuple(code.shape)}")


def photo_on(photo: Photo, camera: Camera, background: tuple[float, float, float]) -> Render:
    """The photo area-averaged to the camera's size, laid on a colour where it is transparent."""
    image = photo.image
    if photo.alpha is not None:
        image = image + (1 - photo.alpha[..., None]) * (torch.tensor(background).to(image) - 1)
    rgb = resize_area(image, camera.width, camera.height).reshape(1, -1, 3)
    if photo.alpha is None:
        return Render(rgb=rgb)
    return Render(rgb=rgb, alpha=resize_area(photo.alpha, camera.width, camera.height).reshape(1, -1))


def depth_along(distance: Float[Tensor, "h n"], z: Float[Tensor, "n"]) -> Float[Tensor, "h n"]:
    """Depth along the optical axis from distances along unit rays; 0 where nothing is hit (a negative distance)."""
    return torch.where(distance < 0, torch.zeros_like(distance), distance * z)


def checked_colour(value: object, where: object) -> tuple[float, float, float]:
    """A background read from a file: three numbers in [0, 1]."""
    fits = isinstance(value, list) and len(value) == 3
    numbers = [x for x in value if isinstance(x, (int, float)) and 0 <= x <= 1] if isinstance(value, list) else []
    if not fits or len(numbers) != 3:
        raise ResectError(f"{where}: background", "three numbers in [0, 1]", repr(value)[:80])
    return float(numbers[0]), float(numbers[1]), float(numbers[2])
