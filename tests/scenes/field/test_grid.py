"""Tables, pruning and refinement: brute force and invariants."""

import numpy as np
import pytest
from tests.scenes.field.conftest import smooth_grid

from resect.scenes.field.detail import coarser
from resect.scenes.field.grid import (
    BLOCK,
    EMPTY_LOG_DENSITY,
    Grid,
    aligned_zeros,
    block_voxel_indices,
    full_grid,
    make_table,
    prune,
    reachable_maximum,
    refine,
    voxel_index,
)


def random_mask(cells: int, share: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((cells,) * 3) < share


def dense(grid: Grid) -> np.ndarray:
    """Log-density of every voxel, NaN where there is no block."""
    r = grid.resolution
    index = np.stack(np.meshgrid(*[np.arange(r)] * 3, indexing="ij"), -1).reshape(-1, 3)
    at = voxel_index(grid, index)
    return np.where(at >= 0, grid.density[at], np.nan).reshape(r, r, r)


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_table_holds_the_chebyshev_distance(share: float) -> None:
    occupied = random_mask(9, share)
    table, blocks = make_table(occupied)
    entry = table.reshape(occupied.shape)
    points = np.argwhere(occupied)
    for cell in np.argwhere(entry < 0):
        assert -entry[tuple(cell)] == np.abs(points - cell).max(1).min()
    assert np.array_equal((entry >= 0) & (entry % 2 == 1), occupied)
    assert sorted(entry[entry >= 0] >> 1) == list(range(1, blocks))


def test_positive_neighbours_of_occupied_cells_have_blocks() -> None:
    occupied = random_mask(8, 0.1)
    table, _ = make_table(occupied)
    entry = table.reshape(occupied.shape)
    for cell in np.argwhere(occupied):
        for code in np.ndindex(2, 2, 2):
            near = cell + code
            if (near < 8).all():
                assert entry[tuple(near)] >= 0


def test_an_empty_mask_is_far_from_everything() -> None:
    table, blocks = make_table(np.zeros((4, 4, 4), bool))
    assert blocks == 1
    assert (table < -4).all()


def test_reachable_maximum_by_brute_force() -> None:
    grid = smooth_grid(16, occupied=random_mask(4, 0.4))
    values = np.pad(np.nan_to_num(dense(grid), nan=-np.inf), (0, 1), constant_values=-np.inf)
    found = reachable_maximum(grid, grid.density)
    for i, j, k in np.ndindex(4, 4, 4):
        block = values[4 * i : 4 * i + 5, 4 * j : 4 * j + 5, 4 * k : 4 * k + 5]
        assert found[i, j, k] == block.max()


def test_prune_moves_voxels_without_changing_them() -> None:
    grid = smooth_grid(32)
    keep = random_mask(8, 0.3)
    carried = np.random.default_rng(1).random((grid.blocks * BLOCK, 2), dtype=np.float32)
    pruned, moved = prune(grid, keep, carried)
    assert np.array_equal(pruned.occupied(), keep)
    index = block_voxel_indices(pruned.table, 8)
    new, old = voxel_index(pruned, index), voxel_index(grid, index)
    assert np.array_equal(pruned.density[new], grid.density[old])
    assert np.array_equal(pruned.colour[new], grid.colour[old])
    assert np.array_equal(moved[new], carried[old])


def test_records_start_at_cache_lines() -> None:
    pruned, _ = prune(smooth_grid(16), random_mask(4, 0.5))
    assert pruned.colour.ctypes.data % 64 == 0
    assert aligned_zeros(3, 16).ctypes.data % 64 == 0


def test_refine_reproduces_a_linear_field_inside() -> None:
    resolution = 32
    grid = full_grid(16, 0.0)
    grid.density[BLOCK:] = ((block_voxel_indices(grid.table, 4) + 0.5) / 16) @ np.array([1.0, 2.0, 3.0])
    fine = refine(grid)
    place = (block_voxel_indices(fine.table, resolution // 4) + 0.5) / resolution
    inside = ((place > 0.5 / 16) & (place < 15.5 / 16)).all(1)
    np.testing.assert_allclose(fine.density[BLOCK:][inside], (place @ [1.0, 2.0, 3.0])[inside], atol=1e-5)


def test_refine_keeps_the_occupied_region_and_constants() -> None:
    grid, _ = prune(full_grid(16, 0.7), random_mask(4, 0.3))
    fine = refine(grid)
    assert np.array_equal(fine.occupied(), grid.occupied().repeat(2, 0).repeat(2, 1).repeat(2, 2))
    alive = fine.density > EMPTY_LOG_DENSITY + 1
    np.testing.assert_allclose(fine.density[alive], 0.7, atol=1e-5)
    covered = np.repeat(fine.table[fine.table >= 0] % 2 == 1, BLOCK)
    assert alive[BLOCK:][covered].all()


def test_coarser_keeps_constants() -> None:
    half = coarser(full_grid(64, -1.0))
    assert half.resolution == 32
    np.testing.assert_allclose(half.density[BLOCK:], -1.0, atol=1e-4)


def test_coarser_caps_what_is_opaque_anyway() -> None:
    assert coarser(full_grid(64, 9.0)).density.max() < 1.0
