"""Coverage of pixels by the union of projected triangles, exact; independent of the library."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3


def coverage(mesh: Mesh, camera: Camera, pose: SE3) -> Tensor:
    """(height · width,) share of each pixel that the mesh covers, exact.

    Between two neighbouring heights at which anything changes (a corner, two edges that cross, an edge that crosses a
    border of pixels) the cover of each pixel along a line is linear in the line's height: the middle one is the mean.
    """
    p = pose.apply(mesh.vertices.double())
    xy = torch.stack([camera.fx * p[:, 0] / p[:, 2] + camera.cx, camera.fy * p[:, 1] / p[:, 2] + camera.cy], 1)
    corners = xy[mesh.faces].numpy()
    heights = np.unique(np.concatenate([_heights(corners, camera.width), np.arange(camera.height + 1.0)]))
    heights = heights[(heights >= 0) & (heights <= camera.height)]
    out = np.zeros((camera.height, camera.width))
    for low, high in pairwise(heights):
        middle = 0.5 * (low + high)
        out[int(middle)] += (high - low) * _cover_of_line(corners, middle, camera.width)
    return torch.from_numpy(out).reshape(-1)


def _heights(corners: np.ndarray, width: int) -> np.ndarray:
    """Where an edge ends, crosses another, or crosses a vertical border of pixels."""
    sides = np.stack([corners, np.roll(corners, -1, 1)], 2).reshape(-1, 2, 2)
    sides = np.unique(np.sort(sides.view("f8,f8"), 1).view("f8").reshape(-1, 4), axis=0)
    a, d = sides[:, :2], sides[:, 2:] - sides[:, :2]
    gap = a[None] - a[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        det = d[:, None, 0] * d[None, :, 1] - d[:, None, 1] * d[None, :, 0]
        t = (gap[..., 0] * d[None, :, 1] - gap[..., 1] * d[None, :, 0]) / det
        u = (gap[..., 0] * d[:, None, 1] - gap[..., 1] * d[:, None, 0]) / det
        at_border = (np.arange(width + 1.0)[None] - a[:, :1]) / d[:, :1]
    crossing = ((t > 0) & (t < 1) & (u > 0) & (u < 1)).nonzero()
    border = ((at_border > 0) & (at_border < 1)).nonzero()
    return np.concatenate([
        sides[:, 1], sides[:, 3], a[crossing[0], 1] + t[crossing] * d[crossing[0], 1],
        a[border[0], 1] + at_border[border] * d[border[0], 1],
    ])  # fmt: skip


def _cover_of_line(corners: np.ndarray, y: float, width: int) -> np.ndarray:
    """Length of each pixel of a line that lies in some triangle."""
    a, b = corners, np.roll(corners, -1, 1)
    crosses = (a[..., 1] > y) != (b[..., 1] > y)
    used = crosses.any(1)
    if not used.any():
        return np.zeros(width)
    a, b, crosses = a[used], b[used], crosses[used]
    with np.errstate(divide="ignore", invalid="ignore"):
        x = a[..., 0] + (y - a[..., 1]) / (b[..., 1] - a[..., 1]) * (b[..., 0] - a[..., 0])
    left = np.where(crosses, x, np.inf).min(1)
    right = np.where(crosses, x, -np.inf).max(1)
    order = left.argsort()
    reach = np.maximum.accumulate(right[order])
    gaps = left[order][1:] > reach[:-1]
    begin = left[order][np.concatenate([[True], gaps])]
    end = reach[np.concatenate([gaps, [True]])]
    borders = np.arange(width + 1)
    below = (np.clip(borders[:, None], begin, end) - begin).sum(1)
    return np.diff(below)
