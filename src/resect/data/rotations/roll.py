"""The same photos as taken with the camera turned about its optical axis: exact, as no new side of anything shows."""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from resect.data.mask import box_of
from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.geometry import so3
from resect.types import Photo


def rolled(data: RotationSet, seed: int = 0) -> RotationSet:
    """Every photo turned about its principal point by an angle uniform over the circle; labels turn with it.

    What was outside the photo shows the edge's colour; the target's box is that of the turned mask, without one that of
    the turned box.

    Args:
        data: photos with known cameras.
        seed: of the angles; photo number i has the i-th of its stream.
    """
    angle = torch.from_numpy(np.random.default_rng(seed).uniform(-math.pi, math.pi, len(data)))
    zero = torch.zeros_like(angle)
    turn = so3.exp(torch.stack([zero, zero, angle], -1)).to(data.rotation)

    def equivalents(i: int) -> Float[Tensor, "s 3 3"]:
        assert data.equivalents is not None
        return turn[i] @ data.equivalents(i)

    moved = None if data.translation is None else (turn.to(data.translation) @ data.translation[..., None])[..., 0]
    return replace(
        data,
        rotation=turn @ data.rotation,
        load=lambda i: roll_photo(data.load(i), float(angle[i])),
        equivalents=None if data.equivalents is None else equivalents,
        translation=moved,
        render=None,
        pick=None,
    )


def roll_photo(photo: Photo, angle: float) -> Photo:
    """A photo in which everything is turned clockwise about the principal point by an angle in radians."""
    camera = photo.known_camera()
    if camera.model != "pinhole" or not math.isclose(camera.fx, camera.fy, rel_tol=1e-6):
        fix = "Write the photos as a pinhole shows them: resect data rotations."
        raise ResectError(photo.name, "a pinhole camera with square pixels", camera.model, fix)
    center = torch.tensor([camera.cx, camera.cy], dtype=torch.float64)
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    source = (camera.pixels(dtype=torch.float64) - center) @ turn + center
    size = torch.tensor([camera.width, camera.height], dtype=torch.float64)
    grid = (2 * source / size - 1).float().view(1, camera.height, camera.width, 2)
    image = grid_sample(photo.image.permute(2, 0, 1)[None].float(), grid, padding_mode="border", align_corners=False)[
        0
    ].permute(1, 2, 0)
    target = photo.target
    if target is not None and target.mask is not None:
        mask = grid_sample(target.mask[None, None].float(), grid, align_corners=False)[0, 0] > 0.5
        target = replace(target, mask=mask, box=box_of(mask) if bool(mask.any()) else None)
    elif target is not None and target.box is not None:
        left, top, right, bottom = target.box
        corners = torch.tensor([[left, top], [right, top], [left, bottom], [right, bottom]], dtype=torch.float64)
        low, high = ((corners - center) @ turn.mT + center).aminmax(dim=0)
        low, high = low.clamp_min(0), torch.minimum(high, size)
        target = replace(target, box=(float(low[0]), float(low[1]), float(high[0]), float(high[1])))
    return replace(photo, image=image.clamp(0, 1), target=target, depth=None, alpha=None, mask=None)
