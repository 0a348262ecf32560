"""Pictures for reports: renders laid on photos, and the render as it slides onto the photo. Small, as data URIs."""

import base64
import io
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene

Painter = Callable[[Camera, SE3], Float[Tensor, "h w 3"]]
"""What a scene shows to a camera at one `cam_from_world`."""


def painter(scene: Scene) -> Painter | None:
    """A painter from a scene; `None` where the scene has no colour to show."""
    if "rgb" not in scene.channels:
        return None

    def paint(camera: Camera, cam_from_world: SE3) -> Float[Tensor, "h w 3"]:
        with torch.no_grad():
            rgb = scene.render(camera, cam_from_world.float()[None], ("rgb",)).rgb
        assert rgb is not None
        return rgb[0].reshape(camera.height, camera.width, 3).float().cpu()

    return paint


def to_pil(image: Float[Tensor, "h w 3"]) -> Image.Image:
    """An 8-bit image; NaN becomes black."""
    values = torch.nan_to_num(image.detach().float().cpu()).clamp(0, 1)
    return Image.fromarray((255 * values).round().to(torch.uint8).numpy())


def shrink(image: Image.Image, camera: Camera) -> Image.Image:
    """Resized to a camera's image."""
    return image.resize((camera.width, camera.height), Image.Resampling.BOX)


def jpeg_uri(image: Image.Image, quality: int = 82) -> str:
    """`data:image/jpeg;base64,…`."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def overlay(
    photo: Image.Image, render: Image.Image, how: Literal["split", "blend", "difference"] = "split"
) -> Image.Image:
    """A render on a photo of the same size.

    Args:
        photo: what was seen.
        render: what the scene shows at the answer.
        how: "split" has the photo left of the middle, "blend" is half of each, "difference" is twice the absolute
            difference, black where they agree.
    """
    a, b = (np.asarray(i.convert("RGB"), dtype=np.float32) for i in (photo, render))
    if how == "blend":
        out = 0.5 * (a + b)
    elif how == "difference":
        out = 2 * np.abs(a - b)
    else:
        out = a.copy()
        middle = a.shape[1] // 2
        out[:, middle:] = b[:, middle:]
        out[:, middle : middle + 1] = 255
    return Image.fromarray(out.clip(0, 255).astype(np.uint8))


def between(path: Sequence[SE3], frames: int) -> list[SE3]:
    """`frames` poses along straight motions from one recorded pose to the next, first and last included."""
    if len(path) < 2:
        return list(path)
    steps = [(path[k + 1] @ path[k].inverse()).log() for k in range(len(path) - 1)]
    found = []
    for k in range(frames):
        position = k / (frames - 1) * len(steps) if frames > 1 else len(steps)
        leg = min(int(position), len(steps) - 1)
        found.append(SE3.exp((position - leg) * steps[leg]) @ path[leg])
    return found


def slide(photo: Image.Image, path: Sequence[SE3], camera: Camera, paint: Painter, frames: int = 12) -> bytes:
    """A GIF of the render, half transparent, as it goes from the start to the answer; the last picture stays.

    Args:
        photo: of any size.
        path: the recorded `cam_from_world`, start first; between them the motion is filled in.
        camera: of the GIF's size.
        paint: draws the scene.
        frames: how many pictures.
    """
    small = shrink(photo, camera)
    pictures = [overlay(small, to_pil(paint(camera, pose)), "blend") for pose in between(path, frames)]
    quantized = [p.quantize(96, dither=Image.Dither.NONE) for p in pictures]
    buffer = io.BytesIO()
    times = [140] * (len(quantized) - 1) + [1600]
    quantized[0].save(buffer, "GIF", save_all=True, append_images=quantized[1:], duration=times, loop=0)
    return buffer.getvalue()


def gif_uri(data: bytes) -> str:
    """`data:image/gif;base64,…`."""
    return "data:image/gif;base64," + base64.b64encode(data).decode()
