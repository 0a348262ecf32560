"""Objects drawn on their photo: the outline of each render, and what is unknown as the box that was asked for."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from resect.data.mask import box_of
from resect.evaluation.names import write_names
from resect.evaluation.pictures import Painter, shrink, to_pil
from resect.evaluation.pose_file import target_name
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.types import Estimate, Photo

COLOURS = ((57, 255, 20), (255, 64, 200), (0, 220, 255), (255, 200, 0), (255, 110, 60), (150, 130, 255))
_FAILED = (255, 60, 60)


def outlined(answers: Sequence[tuple[Photo, Estimate, Scene]], side: int = 1280) -> UInt8[Tensor, "h w 3"]:
    """A photo with the outlines of what was found in it.

    Args:
        answers: of one photo, each with its own target; scenes have an opacity.
        side: most pixels of the longer side.
    """
    photo = answers[0][0]
    camera = next((e.camera for _, e, _ in answers if e.camera is not None), None)
    picture = to_pil(photo.image)
    if camera is None:
        return _bytes(picture)
    camera = camera.rescale(*picture.size).fit_within(side)
    picture = shrink(picture, camera)
    pixels, draw_later = np.asarray(picture).copy(), []
    for k, (asked, estimate, scene) in enumerate(answers):
        name, pose = target_name(asked.target), estimate.cam_from_world
        if pose is None:
            draw_later.append((f"{name} {estimate.status.name}", _box(asked, camera), _FAILED, True))
            continue
        inside = silhouette(scene, camera, pose)
        colour = COLOURS[k % len(COLOURS)]
        pixels[edge(inside).numpy()] = colour
        draw_later.append((name, _around(inside), colour, False))
    found = Image.fromarray(pixels)
    draw = ImageDraw.Draw(found)
    for _, box, colour, framed in draw_later:
        if framed and box is not None:
            draw.rectangle(box, outline=colour)
    write_names(draw, [(box, text, colour) for text, box, colour, _ in draw_later if box is not None])
    return _bytes(found)


def silhouette(scene: Scene, camera: Camera, cam_from_world: SE3) -> Bool[Tensor, "h w"]:
    """Where a scene is opaque at one pose."""
    with torch.no_grad():
        alpha = scene.render(camera, cam_from_world.float()[None], ("alpha",)).alpha
    assert alpha is not None
    return alpha[0].reshape(camera.height, camera.width).cpu() > 0.5


def edge(inside: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Pixels outside that touch the inside: what is inside stays to be seen."""
    near = torch.nn.functional.max_pool2d(inside[None, None].float(), 3, 1, 1)[0, 0] > 0
    return near & ~inside


def painter_on(scene: Scene, photo: Photo) -> Painter:
    """Draws an object on its photo, so that a report shows both and not the object on nothing."""

    def paint(camera: Camera, cam_from_world: SE3) -> Float[Tensor, "h w 3"]:
        with torch.no_grad():
            shown = scene.render(camera, cam_from_world.float()[None], ("rgb", "alpha"))
        assert shown.rgb is not None
        assert shown.alpha is not None
        rgb = shown.rgb[0].reshape(camera.height, camera.width, 3).float().cpu()
        alpha = shown.alpha[0].reshape(camera.height, camera.width, 1).float().cpu()
        behind = _bytes(shrink(to_pil(photo.image), camera)).float() / 255
        return torch.where(alpha > 0.5, rgb, behind)

    return paint


def _around(inside: Bool[Tensor, "h w"]) -> tuple[float, float, float, float] | None:
    if not bool(inside.any()):
        return None
    left, top, right, bottom = box_of(inside)
    return left, top, right - 1, bottom - 1


def _box(photo: Photo, camera: Camera) -> tuple[float, float, float, float] | None:
    if photo.target is None or photo.target.box is None:
        return None
    scale = camera.width / photo.image.shape[1]
    left, top, right, bottom = (scale * x for x in photo.target.box)
    return left, top, right - 1, bottom - 1


def _bytes(picture: Image.Image) -> UInt8[Tensor, "h w 3"]:
    return torch.from_numpy(np.asarray(picture.convert("RGB")).copy())
