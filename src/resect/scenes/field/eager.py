"""The PyTorch backend of the training loop: what trains where numba is absent, slower, by autograd."""

import numpy as np
import torch
from numpy.typing import NDArray

from resect.scenes.field import reference
from resect.scenes.field.grid import BLOCK, RECORD, Grid, March
from resect.scenes.field.pixels import Batch
from resect.scenes.field.trainer import Rates, TrainState

Floats = NDArray[np.float32]
_RAYS_AT_ONCE = 2048
_DENSITY_SLOT = 3


class EagerBackend:
    """Trains with the reference in PyTorch. The same loss and update rule as the kernels'.

    Args:
        device: where to compute.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._strongest: Floats | None = None
        self._grid: Grid | None = None

    def step(
        self, state: TrainState, batch: Batch, background: Floats, march: March, distortion: float, rates: Rates
    ) -> Floats:
        """See `trainer.Backend`."""
        if state.grid is not self._grid:
            self._grid, self._strongest = state.grid, np.zeros_like(state.strongest)
        voxels = reference.Voxels.of(state.grid, self.device)
        voxels.density.requires_grad_()
        voxels.colour.requires_grad_()
        error = np.empty_like(batch.target)
        for first in range(0, len(error), _RAYS_AT_ONCE):
            rays = slice(first, first + _RAYS_AT_ONCE)
            error[rays] = self._accumulate(voxels, batch, background, march, distortion, rays)
        _update(state, voxels, rates)
        return error

    def gather(self, state: TrainState) -> None:
        """See `trainer.Backend`."""
        if state.grid is self._grid and self._strongest is not None:
            np.maximum(state.strongest, self._strongest, out=state.strongest)

    def _accumulate(
        self, voxels: reference.Voxels, batch: Batch, background: Floats, march: March, distortion: float, rays: slice
    ) -> Floats:
        """Adds the gradient of some rays; returns their colour error."""
        origin, direction, target, behind, start = (
            torch.from_numpy(np.ascontiguousarray(a[rays])).to(self.device)
            for a in (batch.origin, batch.direction, batch.target, background, batch.start)
        )
        samples = reference.sample_distances(voxels, origin, direction, march, start)
        shaded = reference.shade(voxels, origin, direction, march, behind, samples)
        error = shaded.rgb - target
        loss = 0.5 * error.square().sum()
        if distortion > 0:
            loss = loss + distortion * reference.distortion_loss(shaded.weight, samples).sum()
        loss.backward()
        self._note_strongest(voxels, origin, direction, samples, shaded.weight.detach())
        return error.detach().cpu().numpy()

    @torch.no_grad()
    def _note_strongest(
        self,
        voxels: reference.Voxels,
        origin: torch.Tensor,
        direction: torch.Tensor,
        samples: reference.Samples,
        weight: torch.Tensor,
    ) -> None:
        """Keeps the largest weight of a sample in each block."""
        assert self._strongest is not None
        point = origin[:, None] + direction[:, None] * samples.distance[..., None]
        kept = weight > 0
        block = voxels.table[reference.cell_index(voxels, point[kept])] >> 1
        np.maximum.at(self._strongest, block.cpu().numpy(), weight[kept].cpu().numpy())


@torch.no_grad()
def _update(state: TrainState, voxels: reference.Voxels, rates: Rates) -> None:
    """RMSprop on the voxels that a sample touched; writes into the state's arrays."""
    assert voxels.density.grad is not None
    assert voxels.colour.grad is not None
    gradient = voxels.colour.grad.cpu().numpy()
    gradient[:, _DENSITY_SLOT] = voxels.density.grad.cpu().numpy()
    touched = np.flatnonzero(np.any(gradient != 0, axis=1))
    touched = touched[touched >= BLOCK]
    g = gradient[touched]
    density, colour = g[:, _DENSITY_SLOT], np.where(np.arange(RECORD) == _DENSITY_SLOT, np.float32(0), g)
    fresh = 1 - rates.decay
    squares = state.mean_square
    squares[touched, 0] = squares[touched, 0] * rates.decay + fresh * density**2
    squares[touched, 1] = squares[touched, 1] * rates.decay + fresh * (colour**2).sum(1) / 12
    root = np.sqrt(squares[touched]) + rates.epsilon
    state.grid.density[touched] -= rates.density * density / root[:, 0]
    state.grid.colour[touched] -= rates.colour * colour / root[:, 1:]
