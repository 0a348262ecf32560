"""A slow scene as photos that a fast one can learn from: its renders in the place of the training photos.

Names, poses and split stay, so that what is learned is used like any other place. Where the slow scene is transparent
the photos are too.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.types import Photo, PhotoSet

_OPAQUE = 0.999  # mean opacity beyond which a scene counts as filling the picture


def distilled_photos(scene: Scene, photos: PhotoSet, which: Sequence[int], side: int) -> PhotoSet:
    """All photos, of which some are renders, each made when it is asked for and then kept.

    Args:
        scene: with colour and opacity.
        photos: of the place.
        which: those to render; the others stay as they are.
        side: pixels of the longer side of a render.
    """
    kept: dict[int, Photo] = {}
    asked, poses = set(which), photos.truth.cam_from_world
    cameras = tuple(c.fit_within(side) if i in asked else c for i, c in enumerate(photos.cameras))

    def load(i: int) -> Photo:
        if i not in asked:
            return photos.load(i)
        if i not in kept:
            kept[i] = _photographed(scene, cameras[i], poses[i : i + 1].float(), photos.names[i])
        return kept[i]

    return replace(photos, cameras=cameras, load=load)


def _photographed(scene: Scene, camera: Camera, pose: SE3, name: str) -> Photo:
    with torch.no_grad():
        shown = scene.render(camera, pose, ("rgb", "alpha"))
    assert shown.rgb is not None
    assert shown.alpha is not None
    shape = (camera.height, camera.width)
    image, alpha = shown.rgb[0].cpu().float().view(*shape, 3).clamp(0, 1), shown.alpha[0].cpu().float().view(shape)
    if float(alpha.mean()) > _OPAQUE:
        return Photo(name, image, camera, "rendered")
    behind = torch.tensor(getattr(scene, "background", (0.0, 0.0, 0.0)))
    on_white = image + (1 - alpha)[..., None] * (1 - behind)
    return Photo(name, on_white.clamp(0, 1), camera, "rendered", alpha=alpha.clamp(0, 1))
