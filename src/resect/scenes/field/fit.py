"""Fits a voxel field to posed photos: reads them, trains, keeps a log and checkpoints, saves the artefact."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from resect import artifact
from resect.data.digest import photos_digest
from resect.data.split import require
from resect.errors import NotInstalledError, ResectError
from resect.geometry.se3 import SE3
from resect.scenes.field.frame import Frame, find_frame
from resect.scenes.field.rendering import has_numba
from resect.scenes.field.scene import Field
from resect.scenes.field.settings import FieldSettings
from resect.scenes.field.store import checked_grid, grid_tensors
from resect.scenes.field.trainer import Backend, TrainState, initial_state, loss_of, march_of, train
from resect.scenes.pixels import Batches, PixelPool, load_pixels, opaque_rays
from resect.training.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint
from resect.training.interrupt import stop_on_interrupt
from resect.training.log import Progress, TrainingLog
from resect.types import PhotoSet

_LOG_EVERY = 50
_BACKGROUNDS = {"black": 0.0, "grey": 0.5, "white": 1.0}


def fit(
    data: PhotoSet,
    settings: FieldSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    held_out: PhotoSet | None = None,
    progress: Progress | None = None,
) -> Field:
    """Trains a field.

    Args:
        data: the training photos; nothing else is looked at.
        settings: how; `FieldSettings()` when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: not used; a field has none.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        held_out: photos whose PSNR and SSIM are written to the log at the end. Nothing is chosen by them.
        progress: called with (step, steps, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    del parents
    settings = settings or FieldSettings()
    require(data, 2, "a field")
    pool = load_pixels(data, settings.max_side, progress=progress)
    frame = _frame(data, pool, settings)
    seed = settings.seed if generator is None else int(torch.randint(2**31, (), generator=generator))
    begun = _resume(out, settings, data) if resume and out is not None else None
    state, seed = begun if begun is not None else (initial_state(settings, pool.photos), seed)
    backend = choose_backend(settings)
    watch = _Watch(settings, out, data, seed, progress, backend)
    with stop_on_interrupt() as stopped, watch.log(state.step):
        state = _run(state, pool, frame, data, settings, seed, backend, lambda s, e: watch.note(s, e) or stopped())
        if state.step < settings.total_steps:
            watch.save(state)
            raise KeyboardInterrupt(f"stopped after {state.step} of {settings.total_steps} steps; the state is saved")
        field = Field(state.grid, frame, background_colour(settings, pool), settings, device=settings.device)
        if held_out is not None:
            watch.judge(field, held_out)
    if out is not None:
        field.save(out)
        checkpoint_path(out).unlink(missing_ok=True)
    return field


def _run(
    state: TrainState,
    pool: PixelPool,
    frame: Frame,
    data: PhotoSet,
    settings: FieldSettings,
    seed: int,
    backend: Backend,
    on_step: Callable[[TrainState, float], bool],
) -> TrainState:
    """Trains from a state to the end, or to where `on_step` stops it."""
    cam_from_local = frame.local_from_world.move_camera(_double(data))
    rotation = np.ascontiguousarray(cam_from_local.R.mT.numpy(), np.float32)
    center = np.ascontiguousarray(cam_from_local.center.numpy(), np.float32)
    batches = Batches(pool, rotation, center, settings.batch, seed)
    behind = np.array(background_colour(settings, pool), np.float32)

    def background(step: int, rays: int) -> NDArray[np.float32]:
        if not pool.transparent:
            return np.tile(behind, (rays, 1))
        return np.random.default_rng([seed, 2, step]).random((rays, 3), dtype=np.float32)

    march = march_of(settings, frame.near, frame.far)
    loss = loss_of(settings, frame.case)
    return train(state, batches, background, march, loss, settings, backend, on_step)


def choose_backend(settings: FieldSettings) -> Backend:
    """The backend that the settings and the installation allow."""
    plain = settings.backend == "torch" or torch.device(settings.device).type != "cpu"
    if plain or (settings.backend == "auto" and not has_numba()):
        from resect.scenes.field.eager import EagerBackend

        return EagerBackend(settings.device)
    if not has_numba():
        raise NotInstalledError("numba", "all", "the fast field; or use --backend torch")
    from resect.scenes.field.fused import FusedBackend

    return FusedBackend(settings.threads)


def background_colour(settings: FieldSettings, pool: PixelPool) -> tuple[float, float, float]:
    """What is behind everything when the field is rendered."""
    name = settings.background
    if name == "auto":
        name = "white" if pool.transparent else "grey"
    level = _BACKGROUNDS[name]
    return level, level, level


def _double(data: PhotoSet) -> SE3:
    pose = data.truth.cam_from_world
    return SE3(pose.R.double(), pose.t.double())


def _frame(data: PhotoSet, pool: PixelPool, settings: FieldSettings) -> Frame:
    """The local frame; near and far from the settings where they are given."""
    poses = _double(data)
    silhouettes = None
    if pool.transparent:
        silhouettes = [s for i in range(pool.photos) if len((s := opaque_rays(pool, i, poses))[0])]
    frame = find_frame(poses, silhouettes, data.world.depth_range)
    scale = float(frame.local_from_world.s)
    near = frame.near if settings.near is None else settings.near * scale
    far = frame.far if settings.far is None else settings.far * scale
    if not 0 <= near < far:
        raise ResectError("FieldSettings.near", f"a number below far ({far / scale:g})", f"{near / scale:g}")
    return Frame(frame.local_from_world, near, far, frame.typical, frame.case)


def _resume(out: Path, settings: FieldSettings, data: PhotoSet) -> tuple[TrainState, int] | None:
    """The saved state and its seed, or `None` if there is none."""
    path = checkpoint_path(out)
    found = load_checkpoint(path, artifact.as_json(settings))
    if found is None:
        return None
    tensors, facts = found
    if facts.get("data") != photos_digest(data):
        raise ResectError(path, "the photos and poses the run began with", "others", "Fit with --overwrite.")
    grid = checked_grid(tensors, facts.get("resolution"), path)
    sizes = {"mean_square": (len(grid.density), 2), "strongest": (grid.blocks,), "log_gain": (len(data), 3)}
    for name, size in sizes.items():
        if name not in tensors or tuple(tensors[name].shape) != size or tensors[name].dtype != torch.float32:
            raise ResectError(f"{path}: {name}", f"{size} float32", "something else", "Fit with --overwrite.")
    square, strongest, gain = (tensors[name].numpy().copy() for name in sizes)
    step, seed = facts.get("step"), facts.get("seed")
    if not isinstance(step, int) or not isinstance(seed, int) or not 0 <= step <= settings.total_steps:
        raise ResectError(path, "a step and a seed", repr((step, seed)), "Fit with --overwrite.")
    return TrainState(grid, square, strongest, gain, step), seed


class _Watch:
    """Logs, reports and saves during a fit."""

    def __init__(
        self,
        settings: FieldSettings,
        out: Path | None,
        data: PhotoSet,
        seed: int,
        progress: Progress | None,
        backend: Backend,
    ) -> None:
        self._settings, self._out, self._data, self._seed, self._progress = settings, out, data, seed, progress
        self._backend = backend
        self._log: TrainingLog | None = None
        self._errors: list[float] = []
        self._saved = time.monotonic()

    def log(self, step: int) -> "TrainingLog | Any":
        """Opens the log, if there is a folder for it."""
        from contextlib import nullcontext

        if self._out is None:
            return nullcontext()
        self._log = TrainingLog(self._out, tensorboard=self._settings.tensorboard, resume_at=step or None)
        return self._log

    def note(self, state: TrainState, error: float) -> bool:
        """After a step; false, so that training goes on."""
        self._errors.append(error)
        if state.step % _LOG_EVERY == 0 or state.step == self._settings.total_steps:
            psnr = -10 * math.log10(max(sum(self._errors) / len(self._errors), 1e-12))
            self._errors.clear()
            if self._log is not None:
                self._log.write(state.step, psnr=psnr, resolution=state.grid.resolution, blocks=state.grid.blocks)
            if self._progress is not None:
                self._progress(state.step, self._settings.total_steps, f"{psnr:.1f} dB")
        if self._out is not None and time.monotonic() - self._saved > self._settings.checkpoint_seconds:
            self.save(state)
        return False

    def save(self, state: TrainState) -> None:
        """Writes a checkpoint."""
        if self._out is None:
            return
        self._backend.gather(state)
        tensors = grid_tensors(state.grid)
        for name in ("mean_square", "strongest", "log_gain"):
            tensors[name] = torch.from_numpy(getattr(state, name))
        facts = {
            "settings": artifact.as_json(self._settings),
            "data": photos_digest(self._data),
            "resolution": state.grid.resolution,
            "step": state.step,
            "seed": self._seed,
        }
        save_checkpoint(checkpoint_path(self._out), tensors, facts)
        self._saved = time.monotonic()

    def judge(self, field: Field, held_out: PhotoSet) -> None:
        """Logs PSNR and SSIM on photos that were not trained on."""
        from resect.scenes.field.quality import held_out_quality

        psnr, ssim = held_out_quality(field, held_out, self._settings.max_side)
        if self._log is not None:
            self._log.write(self._settings.total_steps, held_out_psnr=psnr, held_out_ssim=ssim)
        if self._progress is not None:
            self._progress(self._settings.total_steps, self._settings.total_steps, f"held out {psnr:.2f} dB")
