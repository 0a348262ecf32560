"""The PyTorch backend of the training loop: what trains on a GPU, or, slower, where numba is absent. By autograd."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from resect.scenes.field import reference
from resect.scenes.field.grid import BLOCK, Grid, March
from resect.scenes.field.trainer import Loss, Rates, TrainState
from resect.scenes.pixels import Batch

Floats = NDArray[np.float32]
_RAYS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class _OnDevice:
    """A training state as tensors, for one grid."""

    grid: Grid
    voxels: reference.Voxels
    mean_square: Float[Tensor, "v 2"]
    strongest: Float[Tensor, "blocks"]


class EagerBackend:
    """Trains with the reference in PyTorch. The same loss and update rule as the kernels'.

    The state stays on the device from one change of the grid to the next; `gather` brings it back.

    Args:
        device: where to compute.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._held: _OnDevice | None = None

    def step(
        self, state: TrainState, batch: Batch, background: Floats, march: March, loss: Loss, rates: Rates
    ) -> Floats:
        """See `trainer.Backend`; the arrays of the state follow when `gather` is called."""
        held = self._upload(state)
        voxels = held.voxels
        voxels.density.requires_grad_()
        voxels.colour.requires_grad_()
        error = np.empty_like(batch.target)
        for first in range(0, len(error), _RAYS_AT_ONCE):
            rays = slice(first, first + _RAYS_AT_ONCE)
            error[rays] = self._accumulate(held, batch, background, march, loss, rays)
        _update(held, rates)
        return error

    def gather(self, state: TrainState) -> None:
        """See `trainer.Backend`."""
        held = self._held
        if held is None or state.grid is not held.grid:
            return
        state.grid.density[:] = held.voxels.density.detach().cpu().numpy()
        state.grid.colour[:] = held.voxels.colour.detach().cpu().numpy()
        state.mean_square[:] = held.mean_square.cpu().numpy()
        np.maximum(state.strongest, held.strongest.cpu().numpy(), out=state.strongest)

    def _upload(self, state: TrainState) -> _OnDevice:
        """The state on the device, copied there when the grid is another one."""
        if self._held is None or self._held.grid is not state.grid:
            squares, strongest = (torch.tensor(a, device=self.device) for a in (state.mean_square, state.strongest))
            voxels = reference.Voxels.of(state.grid, self.device)
            self._held = _OnDevice(state.grid, voxels, squares, strongest)
        return self._held

    def _accumulate(
        self, held: _OnDevice, batch: Batch, background: Floats, march: March, loss: Loss, rays: slice
    ) -> Floats:
        """Adds the gradient of some rays; returns their colour error."""
        origin, direction, target, behind, start = (
            torch.from_numpy(np.ascontiguousarray(a[rays])).to(self.device)
            for a in (batch.origin, batch.direction, batch.target, background, batch.start)
        )
        samples = reference.sample_distances(held.voxels, origin, direction, march, start)
        with torch.no_grad():  # as in the kernels, samples whose colour is dropped get no gradient either
            kept = reference.shade(held.voxels, origin, direction, march, behind, samples).weight > 0
        fade = kept * (samples.distance / max(float(loss.fade_distance), 1e-6)).clamp(max=1.0).square()
        shaded = reference.shade(held.voxels, origin, direction, march, behind, samples, fade)
        error = shaded.rgb - target
        total = 0.5 * error.square().sum()
        if loss.distortion > 0:
            total = total + float(loss.distortion) * reference.distortion_loss(shaded.weight, samples).sum()
        total.backward()
        _note_strongest(held, origin, direction, samples, shaded.weight)
        return error.detach().cpu().numpy()


@torch.no_grad()
def _note_strongest(
    held: _OnDevice,
    origin: Float[Tensor, "n 3"],
    direction: Float[Tensor, "n 3"],
    samples: reference.Samples,
    weight: Float[Tensor, "n s"],
) -> None:
    """Keeps the largest weight of a sample in each block."""
    kept = weight > 0
    point = (origin[:, None] + direction[:, None] * samples.distance[..., None])[kept]
    block = held.voxels.table[reference.cell_index(held.voxels, point)] >> 1
    held.strongest.scatter_reduce_(0, block, weight[kept], "amax")


@torch.no_grad()
def _update(held: _OnDevice, rates: Rates) -> None:
    """RMSprop on the voxels that a sample touched; the dummy block stays as it is."""
    density, colour = held.voxels.density, held.voxels.colour
    assert density.grad is not None
    assert colour.grad is not None
    seen = (density.grad != 0) | (colour.grad != 0).any(1)
    seen[:BLOCK] = False
    touched = seen.nonzero()[:, 0]
    squares = torch.stack([density.grad[touched].square(), colour.grad[touched].square().sum(1) / 12], 1)
    decay, epsilon = float(rates.decay), float(rates.epsilon)
    averaged = held.mean_square[touched] * decay + (1 - decay) * squares
    held.mean_square[touched] = averaged
    root = averaged.sqrt() + epsilon
    density[touched] -= float(rates.density) * density.grad[touched] / root[:, 0]
    colour[touched] -= float(rates.colour) * colour.grad[touched] / root[:, 1:]
    density.grad = colour.grad = None
