"""Where what a NeRF shows lies: by the outlines of transparent photos before it is trained, by its depth afterwards."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.scenes.pixels import PixelPool, tile_order
from resect.types import PhotoSet

_LOOKED_AT = 16  # photos, and pixels along their longer side, that depth is looked at in
_OUTLINES, _CELLS = 24, 64  # photos that carve, and cells along a side of what is carved
_OPAQUE = 0.02
_MARGIN = 0.5  # cells: their centres were carved


def carved_box(
    data: PhotoSet, pool: PixelPool, side: int, center: Float[Tensor, "3"], radius: float
) -> Float[Tensor, "2 3"] | None:
    """Box around the visual hull: what lies inside the outline of every photo that sees it.

    Args:
        data: transparent photos.
        pool: their pixels.
        side: longest side that the pixels were shrunk to.
        center, radius: of a ball that holds it, world units.

    Returns:
        Corners, world units, with a margin; `None` where the outlines leave nothing.
    """
    step = 2 * radius / _CELLS
    line = (torch.arange(_CELLS, dtype=torch.float64) + 0.5) * step - radius
    points = torch.cartesian_prod(line, line, line) + center.double()
    kept = torch.ones(len(points), dtype=torch.bool)
    for i in range(0, len(data), max(1, len(data) // _OUTLINES)):
        camera = data.cameras[i].fit_within(side)
        first, last = int(pool.first_pixel[i]), int(pool.first_pixel[i + 1])
        alpha = np.empty(last - first, np.float32)
        alpha[tile_order(camera.width, camera.height)] = pool.colour[first:last, 3]
        opaque = torch.from_numpy(alpha).reshape(1, 1, camera.height, camera.width) > _OPAQUE
        at, seen = camera.project(data.truth.cam_from_world[i].double().apply(points))
        cell = float(step) * camera.fx / float((data.truth.cam_from_world[i].center - center).norm())
        opaque = torch.nn.functional.max_pool2d(opaque.float(), 2 * int(np.ceil(cell)) + 1, 1, int(np.ceil(cell)))[0, 0]
        x, y = at[:, 0].long().clamp(0, camera.width - 1), at[:, 1].long().clamp(0, camera.height - 1)
        inside = seen & (at[:, 0] >= 0) & (at[:, 0] < camera.width) & (at[:, 1] >= 0) & (at[:, 1] < camera.height)
        kept &= ~inside | (opaque[y, x] > 0)
    if not bool(kept.any()):
        return None
    left = points[kept]
    return torch.stack([left.amin(0) - _MARGIN * step, left.amax(0) + _MARGIN * step])


def seen_box(scene: Scene, data: PhotoSet, otherwise: float) -> Float[Tensor, "2 3"]:
    """Box around what the training cameras see: of all but the outermost hundredth of the points.

    Args:
        scene: with depth.
        data: the photos.
        otherwise: half a side of the box around the first camera where nothing is seen, world units.
    """
    points = []
    for i in range(0, len(data), max(1, len(data) // _LOOKED_AT)):
        camera, pose = data.cameras[i].fit_within(_LOOKED_AT), data.truth.cam_from_world[i : i + 1].float()
        with torch.no_grad():
            depth = scene.render(camera, pose, ("depth",)).depth
        assert depth is not None
        ray = camera.rays(camera.pixels())
        at = (ray / ray[:, 2:] * depth[0, :, None])[depth[0] > 0]
        points.append(pose.inverse().apply(at[None])[0])
    every = torch.cat(points)
    if len(every) < 8:
        center = SE3(pose.R, pose.t).center[0]
        return torch.stack([center - otherwise, center + otherwise])
    return every.quantile(torch.tensor([0.01, 0.99]), 0)
