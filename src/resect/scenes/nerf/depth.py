"""Depth that photos bring, as distances along the rays of training pixels."""

import numpy as np
import torch
from numpy.typing import NDArray

from resect.errors import ResectError
from resect.scenes.pixels import PixelPool, tile_order
from resect.types import PhotoSet


def load_distances(data: PhotoSet, pool: PixelPool, side: int) -> NDArray[np.float32]:
    """(pixels,) distance of what each pixel's middle shows, world units; 0 where it is not known.

    Args:
        data: the photos.
        pool: their pixels, whose order is kept.
        side: longest side that the pixels were shrunk to.

    Raises:
        ResectError: no photo has depth.
    """
    found = np.zeros(len(pool.colour), np.float32)
    for i in range(len(data)):
        depth, camera = data[i].depth, data.cameras[i].fit_within(side)
        if depth is None:
            continue
        at = camera.pixels() * torch.tensor([depth.shape[1] / camera.width, depth.shape[0] / camera.height])
        x, y = at[:, 0].long().clamp(max=depth.shape[1] - 1), at[:, 1].long().clamp(max=depth.shape[0] - 1)
        along = depth[y, x].float() / camera.rays(camera.pixels())[:, 2]
        order = tile_order(camera.width, camera.height)
        found[pool.first_pixel[i] : pool.first_pixel[i + 1]] = along.nan_to_num(0.0, 0.0, 0.0).numpy()[order]
    if not found.any():
        fix = "Take --nerf.depth-weight 0, or photos with depth."
        raise ResectError("NerfSettings.depth_weight", "photos with depth", "none", fix)
    return found
