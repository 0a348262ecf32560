"""Levels of detail of a grid: blurred copies for coarse images, and where its surfaces are."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from resect.scenes.field.frame import Frame
from resect.scenes.field.grid import (
    BLOCK,
    EMPTY_LOG_DENSITY,
    RECORD,
    Grid,
    aligned_zeros,
    block_voxel_indices,
    make_table,
    voxel_index,
)

_LEAST_RESOLUTION = 32
_OPAQUE = 0.5
_MOST_VOXELS_A_PIXEL = 2.5
_CAP = 2.0


def halvings_for(grid: Grid, frame: Frame, pixel_rad: float) -> int:
    """How often to halve the grid for pixels of this angle: while a pixel spans more than 2.5 voxels.

    At the typical distance of what is seen. Above that a halved copy shows coarse images *better* than the field, which
    aliases there; below it is worse.
    """
    content = 0.0 if frame.case in ("object", "common") else frame.typical
    rate = 1.0 if content <= 1 else (2 - 1 / content) / content
    ratio = pixel_rad * frame.typical * rate * grid.resolution / 4
    halvings, resolution = 0, grid.resolution
    while ratio > _MOST_VOXELS_A_PIXEL and resolution % 8 == 0 and resolution // 2 >= _LEAST_RESOLUTION:
        halvings, resolution, ratio = halvings + 1, resolution // 2, ratio / 2
    return halvings


def coarser(grid: Grid) -> Grid:
    """The grid at half the resolution: mean density of the eight children, colour averaged by their opacity.

    A child counts for at most an optical depth of _CAP, so that thin surfaces do not grow.
    """
    cells = grid.cells // 2
    occupied = np.asarray(grid.occupied().reshape(cells, 2, cells, 2, cells, 2).any((1, 3, 5)))
    table, blocks = make_table(occupied)
    index = block_voxel_indices(table, cells)
    fine_step = np.float32(128 / grid.resolution)
    density = np.zeros(len(index), np.float32)
    total = np.full(len(index), 1e-12, np.float32)
    colour = aligned_zeros(blocks * BLOCK, RECORD)
    body = colour[BLOCK:]
    for offset in product((0, 1), repeat=3):
        child = voxel_index(grid, 2 * index + np.array(offset))
        optical = np.where(child >= 0, np.exp(np.minimum(grid.density[child], 12.0)) * fine_step, 0).astype(np.float32)
        weight = 1 - np.exp(-optical)
        density += np.minimum(optical, _CAP) / (8 * fine_step)
        total += weight
        body += weight[:, None] * grid.colour[child]
    body /= total[:, None]
    head = np.full(BLOCK, EMPTY_LOG_DENSITY)
    log_density = np.maximum(np.log(np.maximum(density, 1e-12)), EMPTY_LOG_DENSITY)
    return Grid(grid.resolution // 2, table, np.concatenate([head, log_density]).astype(np.float32), colour)


def opaque_points(grid: Grid, limit: float) -> NDArray[np.float64]:
    """Centres (n, 3) of opaque voxels within ``limit`` of the origin, local frame."""
    opacity = 1 - np.exp(-np.exp(np.minimum(grid.density[BLOCK:], 12.0)) * (128 / grid.resolution))
    index = block_voxel_indices(grid.table, grid.cells)[opacity > _OPAQUE]
    contracted = (index + 0.5) * (4 / grid.resolution) - 2
    norm = np.linalg.norm(contracted, axis=1, keepdims=True)
    beyond = 1 / np.maximum(2 - norm, 1e-6) / np.maximum(norm, 1.0)
    points = contracted * np.where(norm > 1, beyond, 1.0)
    return points[np.linalg.norm(points, axis=1) <= limit]
