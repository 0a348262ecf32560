"""The training loop of a voxel field: steps, removal of empty cells, refinement. State in, state out.

What a step draws depends on the seed and the step's number only, so a state saved at any step goes on exactly as if
it had never stopped.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from resect.scenes.field.frame import Case
from resect.scenes.field.grid import BLOCK, Grid, March, full_grid, prune, reachable_maximum, refine
from resect.scenes.field.settings import FieldSettings
from resect.scenes.pixels import Batch, Batches

Floats = NDArray[np.float32]
FADE_AROUND = 3.0
"""Distance, local units, below which gradients fade in captures that look out or about."""
EXPOSURE_RATE = 0.05
"""Step of a photo's log gain per step, times the mean relative residual of its rays."""


@dataclass(frozen=True, eq=False)
class TrainState:
    """All that training changes. Arrays are changed in place by steps.

    Attributes:
        grid: the voxels.
        mean_square: (voxels, 2) running squared gradients of log-density and colour.
        strongest: (blocks,) largest compositing weight of a sample in each block's cell since the last pruning.
        log_gain: (photos, 3) log of each photo's exposure.
        step: steps done.
    """

    grid: Grid
    mean_square: Floats
    strongest: Floats
    log_gain: Floats
    step: int


class Rates(NamedTuple):
    """Constants of one update."""

    density: np.float32
    """Learning rate of log-densities."""
    colour: np.float32
    """Learning rate of colour coefficients."""
    decay: np.float32
    """Of the running squares."""
    epsilon: np.float32
    """Added to their root."""


class Loss(NamedTuple):
    """Constants of the loss and its gradient."""

    distortion: np.float32
    """Weight of the distortion loss."""
    fade_distance: np.float32
    """Gradients of samples nearer than this fade with the square of the distance."""


class Backend(Protocol):
    """Computes a step; the numba kernels and plain PyTorch are the two."""

    def step(
        self, state: TrainState, batch: Batch, background: Floats, march: March, loss: Loss, rates: Rates
    ) -> Floats:
        """Changes grid and running squares, in place or until `gather`; returns (n, 3) rendered minus target colour."""
        ...

    def gather(self, state: TrainState) -> None:
        """Brings the state's arrays up to date before they are used or saved."""
        ...


def initial_state(settings: FieldSettings, photos: int) -> TrainState:
    """Fog everywhere, at the first resolution."""
    grid = full_grid(settings.resolutions[0], settings.initial_log_density)
    return _fresh(grid, np.zeros((photos, 3), np.float32), 0)


def _fresh(grid: Grid, log_gain: Floats, step: int, mean_square: Floats | None = None) -> TrainState:
    squares = np.zeros((grid.blocks * BLOCK, 2), np.float32) if mean_square is None else mean_square
    return TrainState(grid, squares, np.zeros(grid.blocks, np.float32), log_gain, step)


def loss_of(settings: FieldSettings, case: Case) -> Loss:
    """Constants of the loss for a capture of this kind."""
    fade = settings.fade_distance
    if fade is None:
        fade = FADE_AROUND if case == "around" else 0.0
    return Loss(np.float32(settings.distortion), np.float32(fade))


def march_of(settings: FieldSettings, near: float, far: float) -> March:
    """Marching constants for training, one voxel a step."""
    numbers = (near, far, 1.0, settings.least_weight, settings.least_transmittance)
    return March(*(np.float32(x) for x in numbers))


def train(
    state: TrainState,
    batches: Batches,
    background: Callable[[int, int], Floats],
    march: March,
    loss: Loss,
    settings: FieldSettings,
    backend: Backend,
    on_step: Callable[[TrainState, float], bool],
) -> TrainState:
    """Runs the remaining steps.

    Args:
        state: where to go on from.
        batches: draws the rays of a step.
        background: (n, 3) colours behind n rays at a step.
        march: marching constants.
        loss: constants of the loss.
        settings: the schedule.
        backend: computes steps.
        on_step: called after every step with the state and the mean squared colour error of its rays; a true answer
            stops the training there.
    """
    while state.step < settings.total_steps:
        state = _at_level(state, settings)
        batch = batches.draw(state.step)
        error = _step(state, batch, background(state.step, len(batch.photo)), march, loss, settings, backend)
        state = replace(state, step=state.step + 1)
        if _steps_into_level(state.step, settings) % settings.prune_every == 0 and state.step < settings.total_steps:
            backend.gather(state)
            state = _without_empty_cells(state, settings, by_weight=True)
        if on_step(state, float(np.mean(error * error))):
            break
    backend.gather(state)
    return state


def _step(
    state: TrainState,
    batch: Batch,
    background: Floats,
    march: March,
    loss: Loss,
    settings: FieldSettings,
    backend: Backend,
) -> Floats:
    """One step; returns the colour error."""
    fade = _fade(state.step / settings.total_steps, settings.rate_end)
    rates = Rates(
        np.float32(settings.rate_density * fade),
        np.float32(settings.rate_colour * fade),
        np.float32(settings.decay),
        np.float32(settings.epsilon),
    )
    target = batch.target
    if batch.opacity is not None:
        target = target + (1 - batch.opacity[:, None]) * background
    if settings.exposure:
        target = target * np.exp(-state.log_gain[batch.photo])
    batch = replace(batch, target=np.ascontiguousarray(target))
    error = backend.step(state, batch, background, march, loss, rates)
    if settings.exposure:
        _update_exposure(state, batch, error)
    return error


def _fade(progress: float, end: float) -> float:
    """Factor of the learning rates: half a cosine from 1 to ``end``."""
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * progress))


def _update_exposure(state: TrainState, batch: Batch, error: Floats) -> None:
    """Moves each photo's log gain along the residual; the mean gain of all photos stays 1."""
    rendered = error + batch.target
    photos = len(state.log_gain)
    count = np.bincount(batch.photo, minlength=photos)[:, None]
    for channel in range(3):
        residual = np.bincount(batch.photo, -error[:, channel] * rendered[:, channel], photos)
        power = np.bincount(batch.photo, rendered[:, channel] ** 2, photos)
        state.log_gain[:, channel] += EXPOSURE_RATE * residual / np.maximum(power, 1e-3 * count[:, 0] + 1e-6)
    state.log_gain[:] -= state.log_gain.mean(0)


def _steps_into_level(step: int, settings: FieldSettings) -> int:
    """Steps done since the present level began, counting a level's last step as its own."""
    begun = 0
    for steps in settings.steps:
        if step <= begun + steps:
            return step - begun
        begun += steps
    return step - begun


def _at_level(state: TrainState, settings: FieldSettings) -> TrainState:
    """The state on the grid that the next step is taken on."""
    begun = np.cumsum(settings.steps)
    level = int(np.searchsorted(begun, state.step, side="right"))
    resolution = settings.resolutions[level]
    while state.grid.resolution < resolution:
        state = _fresh(refine(state.grid), state.log_gain, state.step)
        state = _without_empty_cells(state, settings, by_weight=False)
    return state


def _without_empty_cells(state: TrainState, settings: FieldSettings, *, by_weight: bool) -> TrainState:
    """Removes cells without density and, where there are statistics, those that no ray saw."""
    grid = state.grid
    keep = reachable_maximum(grid, grid.density) > settings.prune_log_density
    if by_weight:
        seen = (state.strongest > settings.prune_weight)[np.maximum(grid.table, 0) >> 1]
        keep &= seen.reshape(keep.shape)
    pruned, squares = prune(grid, keep, state.mean_square)
    return _fresh(pruned, state.log_gain, state.step, squares)
