"""Small grids in closed form, and rays through them."""

import numpy as np

from resect.scenes.field.grid import BLOCK, Grid, March, aligned_zeros, block_voxel_indices, make_table


def smooth_grid(resolution: int = 32, seed: int = 0, occupied: np.ndarray | None = None) -> Grid:
    """Waves of log-density and colour on all cells, or on those of a mask."""
    cells = resolution // 4
    table, blocks = make_table(np.ones((cells,) * 3, bool) if occupied is None else occupied)
    place = (block_voxel_indices(table, cells) + 0.5) / resolution
    rng = np.random.default_rng(seed)
    records = aligned_zeros(blocks * BLOCK, 16)
    for lane in range(16):
        if lane % 4 != 3:
            records[BLOCK:, lane] = 3 * np.sin(place @ rng.normal(0, 6, 3) + rng.uniform(0, 6))
    density = np.full(blocks * BLOCK, -12, np.float32)
    density[BLOCK:] = 2.0 * np.sin(place @ rng.normal(0, 8, 3) + 1) - 2.5
    return Grid(resolution, table, density, records)


def march(near: float = 0.05, far: float = 30.0, voxels: float = 1.0) -> March:
    return March(*(np.float32(x) for x in (near, far, voxels, 1e-3, 1e-3)))


def rays(count: int, seed: int = 0, radius: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Origins within a ball and directions that pass near its middle, float32."""
    rng = np.random.default_rng(seed)
    origin = rng.normal(size=(count, 3))
    origin *= radius * rng.uniform(0.1, 1, (count, 1)) / np.linalg.norm(origin, axis=1, keepdims=True)
    direction = rng.uniform(-0.4, 0.4, (count, 3)) - origin + 0.3 * rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return origin.astype(np.float32), direction.astype(np.float32)
