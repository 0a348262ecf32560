"""What a detector found, drawn on the photo: masks blended, centres, axes of the poses, names with scores."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from resect.evaluation.names import write_names
from resect.evaluation.outlines import COLOURS
from resect.evaluation.pictures import to_pil
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Hypotheses, Photo

_BLEND = 0.45
_AXES = ((255, 60, 60), (60, 220, 60), (80, 120, 255))
"""x, y, z: red, green, blue."""


def drawn_detections(
    photo: Photo,
    found: Sequence[tuple[Photo, Hypotheses]],
    *,
    middles: Sequence[Float[Tensor, "3"]] | None = None,
    length: float | None = None,
) -> UInt8[Tensor, "h w 3"]:
    """The photo with what was found in it.

    Args:
        photo: with a known camera.
        found: as a `Detector` gives it.
        middles: of each detected object, its own frame: where the axes begin; its origin when not given.
        length: of the axes, object units; when not given, that which spans a sixth of the photo's height.
    """
    pixels = np.asarray(to_pil(photo.image)).astype(np.float32)
    for k, (one, _) in enumerate(found):
        if one.target is not None and one.target.mask is not None:
            inside = one.target.mask.numpy()
            pixels[inside] = (1 - _BLEND) * pixels[inside] + _BLEND * np.array(COLOURS[k % len(COLOURS)], np.float32)
    picture = Image.fromarray(pixels.round().astype(np.uint8))
    draw, camera, names = ImageDraw.Draw(picture), photo.known_camera(), []
    for k, (one, guess) in enumerate(found):
        colour = COLOURS[k % len(COLOURS)]
        if len(guess):
            middle = torch.zeros(3) if middles is None else middles[k]
            _draw_axes(draw, camera, guess.cam_from_world[0], middle, length)
        if one.target is not None and one.target.box is not None:
            names.append((one.target.box, f"{one.target.object_id}: {one.target.score:.2f}", colour))
    write_names(draw, names)
    return torch.from_numpy(np.asarray(picture).copy())


def _draw_axes(
    draw: ImageDraw.ImageDraw, camera: Camera, pose: SE3, middle: Float[Tensor, "3"], length: float | None
) -> None:
    origin = pose.double().apply(middle.double()[None])[0]
    if float(origin[2]) <= 0:
        return
    reach = float(origin[2]) * camera.height / 6 / camera.fy if length is None else length
    tips = origin + reach * pose.R.double().mT
    at, seen = camera.project(torch.cat([origin[None], tips]))
    if not bool(seen.all()):
        return
    (x, y), *ends = at.tolist()
    order = tips[:, 2].argsort(descending=True).tolist()  # those farther away are drawn first
    for axis in order:
        draw.line([x, y, *ends[axis]], fill=_AXES[axis], width=2)
    draw.ellipse([x - 3, y - 3, x + 3, y + 3], outline=(255, 255, 255), width=1)
