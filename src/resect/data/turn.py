"""EXIF orientation applied to all that it concerns at once: pixels, camera, and the pose of that camera.

An orientation 1…8 is a 2×2 matrix M of signs from the stored picture's axes to the upright one's.
"""

from dataclasses import replace

import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3

_UPRIGHT_FROM_STORED: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {
    1: ((1, 0), (0, 1)),
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: ((0, -1), (1, 0)),
    7: ((0, -1), (-1, 0)),
    8: ((0, 1), (-1, 0)),
}


def turn_image(image: Tensor, orientation: int) -> Tensor:
    """The upright picture from the stored one, (h, w, …)."""
    (xx, xy), (yx, yy) = _UPRIGHT_FROM_STORED[orientation]
    if xx == 0:
        image = image.transpose(0, 1)
    flips = [axis for axis, sign in ((1, xx + xy), (0, yx + yy)) if sign < 0]
    return image.flip(flips).contiguous() if flips else image.contiguous()


def turn_camera(camera: Camera, orientation: int) -> Camera:
    """The camera of the upright picture from the stored one's.

    The principal point turns about the image centre; so do the tangential coefficients, since OpenCV's tangential
    displacement is 2 (q·x) x + |x|² q with q = (p2, p1).
    """
    (xx, xy), (yx, yy) = _UPRIGHT_FROM_STORED[orientation]
    w, h = camera.width, camera.height
    ox, oy = camera.cx - w / 2, camera.cy - h / 2
    swapped = xx == 0
    width, height = (h, w) if swapped else (w, h)
    numbers = camera.distortion
    if camera.model == "opencv" and len(numbers) > 2:
        p1, p2 = (*numbers, 0.0)[2:4]
        numbers = (*numbers[:2], yx * p2 + yy * p1, xx * p2 + xy * p1, *numbers[4:])
    return replace(
        camera,
        fx=camera.fy if swapped else camera.fx,
        fy=camera.fx if swapped else camera.fy,
        cx=xx * ox + xy * oy + width / 2,
        cy=yx * ox + yy * oy + height / 2,
        width=width,
        height=height,
        distortion=numbers,
    )


def turn_cam_from_world(cam_from_world: SE3, orientation: int, where: object) -> SE3:
    """The pose of the upright camera; a mirrored picture has none."""
    (xx, xy), (yx, yy) = _UPRIGHT_FROM_STORED[orientation]
    if xx * yy - xy * yx < 0:
        fix = "Save the photo without its EXIF orientation."
        raise ResectError(where, "an EXIF orientation that is a turn", f"{orientation}, a mirroring", fix)
    turn = torch.tensor([[xx, xy, 0], [yx, yy, 0], [0, 0, 1]], dtype=cam_from_world.t.dtype)
    return SE3(turn @ cam_from_world.R, (turn @ cam_from_world.t[..., None])[..., 0])
