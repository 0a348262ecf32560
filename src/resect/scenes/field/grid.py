"""Blocked sparse voxels: a pool of 4x4x4 blocks and a table that says where each cell's block is.

The grid spans the contracted cube [-2, 2]^3 with R^3 cell-centred voxels. A *cell* is 4^3 voxels. ``table`` has one
int32 per cell: ``2 * block + occupied`` where the cell has a block, else minus the Chebyshev distance in cells to the
nearest occupied cell. One lookup answers "occupied?", "where?" and "how far may a ray jump?". Cells next to an
occupied one have a block too (their voxels are corners of its samples) but are not occupied themselves. Block 0 is a
dummy that missing corners read.

A voxel has a log-density and 12 colour numbers in a record of 16 floats: four groups (spherical harmonics 1, -y, z,
-x) of (red, green, blue, unused).
"""

from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 64
"""Voxels in a block."""
RECORD = 16
"""Floats in a colour record."""
EMPTY_LOG_DENSITY = -12.0
"""Log-density of the dummy block and of voxels that come into being without a parent."""
FARTHEST = 127
"""Cap of the distance in cells."""

_LOCAL = np.stack(np.unravel_index(np.arange(BLOCK), (4, 4, 4)), axis=-1)
_CHILD_WEIGHTS = np.array([[1, 3, 0, 0], [0, 3, 1, 0], [0, 1, 3, 0], [0, 0, 3, 1]], np.float32) / 4
_BLOCKS_AT_ONCE = 1024

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxels of a field at one resolution (see the module's text)."""

    resolution: int
    """Voxels along an edge of the cube, a multiple of 4."""
    table: Ints
    """(cells^3,) entries."""
    density: Floats
    """(blocks * 64,) log-density."""
    colour: Floats
    """(blocks * 64, 16) colour records, 64-byte aligned."""

    @property
    def cells(self) -> int:
        """Cells along an edge."""
        return self.resolution // 4

    @property
    def blocks(self) -> int:
        """Blocks in the pool, the dummy included."""
        return len(self.density) // BLOCK

    def occupied(self) -> Bools:
        """(cells, cells, cells) mask of the cells in which rays take samples."""
        return ((self.table >= 0) & (self.table & 1 == 1)).reshape(self.cells, self.cells, self.cells)


class March(NamedTuple):
    """Constants of marching rays through one grid."""

    near: np.float32
    """First distance at which a ray may be sampled (local units)."""
    far: np.float32
    """Distance at which a ray ends."""
    voxels: np.float32
    """Step in voxels, along the ray in contracted space."""
    least_weight: np.float32
    """Samples of less compositing weight show no colour and get no gradient."""
    least_transmittance: np.float32
    """A ray stops when less light than this is left."""


def aligned_zeros(*shape: int) -> Floats:
    """Float32 zeros whose first element starts a cache line."""
    count = int(np.prod(shape))
    raw = np.zeros(count * 4 + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count * 4].view(np.float32).reshape(shape)


def full_grid(resolution: int, log_density: float) -> Grid:
    """A grid in which every cell is occupied, of constant log-density and grey colour."""
    cells = resolution // 4
    table, blocks = make_table(np.ones((cells, cells, cells), bool))
    density = np.full(blocks * BLOCK, log_density, np.float32)
    density[:BLOCK] = EMPTY_LOG_DENSITY
    return Grid(resolution, table, density, aligned_zeros(blocks * BLOCK, RECORD))


def make_table(occupied: Bools) -> tuple[Ints, int]:
    """The table for a mask of occupied cells, and the number of blocks it needs (the dummy included).

    A block is given to every occupied cell and to the seven neighbours on its positive side.
    """
    from scipy.ndimage import maximum_filter

    has_block = maximum_filter(occupied, size=2, mode="constant", cval=False)
    table = -_cells_to_nearest(occupied)
    count = int(has_block.sum())
    table[has_block] = 2 * np.arange(1, count + 1, dtype=np.int32) + occupied[has_block]
    return np.ascontiguousarray(table.reshape(-1)), count + 1


def _cells_to_nearest(occupied: Bools) -> Ints:
    """Chebyshev distance in cells to the nearest occupied cell, capped."""
    if not occupied.any():
        return np.full(occupied.shape, FARTHEST, np.int32)
    from scipy.ndimage import distance_transform_cdt

    distance = distance_transform_cdt(~occupied, metric="chessboard")
    return np.minimum(distance, FARTHEST).astype(np.int32)


def reachable_maximum(grid: Grid, value: Floats) -> Floats:
    """Largest of a per-voxel ``value`` that a sample in each cell can read: (cells, cells, cells), -inf where none.

    The samples of a cell read its own 4^3 voxels and the first layer of the neighbours on its positive side.
    """
    cells = grid.cells
    blocks = value.reshape(grid.blocks, 4, 4, 4)
    has_block = grid.table >= 0
    at = grid.table[has_block] >> 1
    out = np.full((cells, cells, cells), -np.inf, np.float32)
    for offset in product((0, 1), repeat=3):
        read = tuple(slice(0, 1) if o else slice(None) for o in offset)
        part = np.full(cells**3, -np.inf, np.float32)
        part[has_block] = blocks[:, *read].max(axis=(1, 2, 3))[at]
        here = tuple(slice(0, cells - o) for o in offset)
        there = tuple(slice(o, cells) for o in offset)
        np.maximum(out[here], part.reshape(out.shape)[there], out=out[here])
    return out


def prune(grid: Grid, keep: Bools, carried: Floats | None = None) -> tuple[Grid, Floats]:
    """The grid with only the cells of ``keep`` (cells, cells, cells) occupied; voxels are moved, not changed.

    ``carried`` is a further per-voxel array (blocks * 64, k) that moves along; voxels without a past get zeros.
    """
    table, blocks = make_table(keep & grid.occupied())
    old = grid.table[table >= 0]
    known = old >= 0
    source, target = old[known] >> 1, (table[table >= 0] >> 1)[known]
    density = np.full((blocks, BLOCK), EMPTY_LOG_DENSITY, np.float32)
    density[target] = grid.density.reshape(-1, BLOCK)[source]
    colour = aligned_zeros(blocks, BLOCK, RECORD)
    colour[target] = grid.colour.reshape(-1, BLOCK, RECORD)[source]
    extra = np.zeros((0, 1), np.float32) if carried is None else carried
    moved = np.zeros((blocks, BLOCK, extra.shape[1]), np.float32)
    if carried is not None:
        moved[target] = carried.reshape(-1, BLOCK, carried.shape[1])[source]
    pruned = Grid(grid.resolution, table, density.reshape(-1), colour.reshape(-1, RECORD))
    return pruned, moved.reshape(-1, extra.shape[1])


def refine(grid: Grid) -> Grid:
    """The grid at twice the resolution, with blocks for the children of occupied cells only.

    Trilinear between the coarse voxels that exist; the density is empty where none does. A fine block reads 4^3 coarse
    voxels, always with the same weights, so refining is a gather and a matrix product.
    """
    occupied = grid.occupied()
    for axis in range(3):
        occupied = occupied.repeat(2, axis)
    table, blocks = make_table(occupied)
    cells = 2 * grid.cells
    cell = np.stack(np.unravel_index(np.flatnonzero(table >= 0), (cells, cells, cells)), axis=-1)
    weights = np.kron(np.kron(_CHILD_WEIGHTS, _CHILD_WEIGHTS), _CHILD_WEIGHTS)
    density = np.full((blocks, BLOCK), EMPTY_LOG_DENSITY, np.float32)
    colour = aligned_zeros(blocks, BLOCK, RECORD)
    for first in range(0, len(cell), _BLOCKS_AT_ONCE):
        near = 2 * cell[first : first + _BLOCKS_AT_ONCE, None] - 1 + _LOCAL[None]
        voxel = voxel_index(grid, np.clip(near, 0, grid.resolution - 1).reshape(-1, 3)).reshape(-1, BLOCK)
        exists = (voxel >= 0).astype(np.float32)
        total = exists @ weights.T
        share = 1 / np.maximum(total, 1e-6)
        part = slice(1 + first, 1 + first + len(voxel))
        value = (grid.density[voxel] * exists) @ weights.T * share
        density[part] = np.where(total > 0, value, EMPTY_LOG_DENSITY)
        np.matmul(weights, grid.colour[voxel] * exists[..., None], out=colour[part])
        colour[part] *= share[..., None]
    return Grid(2 * grid.resolution, table, density.reshape(-1), colour.reshape(-1, RECORD))


def block_voxel_indices(table: Ints, cells: int) -> NDArray[np.int64]:
    """(blocks * 64, 3) grid indices of the voxels of all blocks but the dummy, in pool order."""
    cell = np.stack(np.unravel_index(np.flatnonzero(table >= 0), (cells, cells, cells)), axis=-1)
    return (4 * cell[:, None] + _LOCAL[None]).reshape(-1, 3)


def voxel_index(grid: Grid, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pool indices of voxels given by grid indices (n, 3); -1 where there is no block."""
    cell = index >> 2
    entry = grid.table[(cell[:, 0] * grid.cells + cell[:, 1]) * grid.cells + cell[:, 2]].astype(np.int64)
    local = index & 3
    voxel = (entry >> 1) * BLOCK + local[:, 0] * 16 + local[:, 1] * 4 + local[:, 2]
    return np.where(entry >= 0, voxel, -1)
