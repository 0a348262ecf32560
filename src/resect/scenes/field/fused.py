"""The numba backend: fused kernels on several threads, each with gradients of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from resect.scenes.field.grid import BLOCK, RECORD, Grid, March, aligned_zeros
from resect.scenes.field.kernel import accumulate, update
from resect.scenes.field.trainer import Loss, Rates, TrainState
from resect.scenes.pixels import Batch

Floats = NDArray[np.float32]


class FusedBackend:
    """Trains with the numba kernels.

    Results are bitwise the same for the same number of threads; another number sums gradients in another order.

    Args:
        threads: that share a batch.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._grid: Grid | None = None

    def step(
        self, state: TrainState, batch: Batch, background: Floats, march: March, loss: Loss, rates: Rates
    ) -> Floats:
        """See `trainer.Backend`."""
        if state.grid is not self._grid:
            self._allocate(state)
        grid = state.grid
        error = np.empty_like(batch.target)
        share = np.linspace(0, len(error), self.threads + 1).astype(np.int64)

        def forward_backward(worker: int) -> int:
            dirty, _ = accumulate(
                grid.resolution, grid.table, grid.density, grid.colour, march, loss.distortion, loss.fade_distance,
                batch.origin, batch.direction, batch.target, background, batch.start,
                share[worker], share[worker + 1], self._gradient[worker], self._marks[worker], self._dirty[worker],
                self._strongest[worker], error,
            )  # fmt: skip
            return int(dirty)

        counts = np.array(self._each(forward_backward), np.int64)

        def apply(worker: int) -> int:
            update(
                grid.density, grid.colour, state.mean_square, self._gradient, self._marks, self._dirty, counts,
                worker, *rates,
            )  # fmt: skip
            return 0

        self._each(apply)
        return error

    def gather(self, state: TrainState) -> None:
        """See `trainer.Backend`."""
        if state.grid is self._grid:
            np.maximum(state.strongest, self._strongest.max(0), out=state.strongest)

    def _each(self, work: Callable[[int], int]) -> list[int]:
        if self._pool is None:
            return [work(0)]
        return list(self._pool.map(work, range(self.threads)))

    def _allocate(self, state: TrainState) -> None:
        blocks, workers = state.grid.blocks, self.threads
        self._grid = state.grid
        self._gradient = aligned_zeros(workers, blocks * BLOCK, RECORD)
        self._marks = np.zeros((workers, blocks), np.uint64)
        self._dirty = np.zeros((workers, blocks), np.uint32)
        self._strongest = np.zeros((workers, blocks), np.float32)
