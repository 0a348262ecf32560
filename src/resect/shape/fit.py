"""Trains an occupancy network: Adam on the cross-entropy of points, the network of the best validation IoU is kept."""

import hashlib
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from resect import artifact
from resect.data.shapes import ShapeSet
from resect.errors import ResectError
from resect.metrics.shape import occupancy_iou
from resect.shape.batches import Batch, Shelf
from resect.shape.network import OccupancyNetwork, make_network
from resect.shape.occupancy import Occupancy
from resect.shape.settings import OccupancySettings
from resect.training.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint
from resect.training.interrupt import stop_on_interrupt
from resect.training.log import Progress, TrainingLog

_LOG_EVERY = 50
_VALIDATION_POINTS = 20_000
_VALIDATION_SHAPES = 200


@dataclass
class TrainState:
    """What a run has come to.

    Attributes:
        network: being trained.
        adam: its optimiser.
        step: steps done.
        seed: of the run.
        best: weights of the best validation, and
        best_iou: its mean IoU; −1 before the first.
    """

    network: OccupancyNetwork
    adam: torch.optim.Adam
    step: int
    seed: int
    best: dict[str, Tensor]
    best_iou: float


def fit(
    data: ShapeSet,
    settings: OccupancySettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    held_out: ShapeSet | None = None,
    progress: Progress | None = None,
) -> Occupancy:
    """Trains a network.

    Args:
        data: shapes to learn from.
        settings: how; the reduced ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: none are needed.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        held_out: shapes by which the best network is chosen; the last one is kept when not given.
        progress: called with (step, steps, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    del parents
    settings = settings or OccupancySettings()
    seed = settings.seed if generator is None else int(torch.randint(2**31, (), generator=generator))
    shelf = Shelf(data, settings)
    judge = Shelf(held_out.take(_VALIDATION_SHAPES), settings) if held_out is not None else None
    state = _resume(out, settings, data) if resume and out is not None else None
    state = state or _begin(settings, seed)
    log = TrainingLog(out, tensorboard=settings.tensorboard, resume_at=state.step or None) if out else None
    with stop_on_interrupt() as stopped, log or nullcontext():
        watch = _Watch(settings, data, out, log, progress)
        while state.step < settings.steps:
            error = _step(state, shelf.batch(state.step, state.seed), settings)
            watch.note(state, error)
            last = state.step == settings.steps
            if judge is not None and (last or state.step % settings.validate_every == 0):
                watch.judge(state, judge)
            if not last and stopped():
                watch.save(state)
                raise KeyboardInterrupt(f"stopped after {state.step} of {settings.steps} steps; the state is saved")
    if state.best:
        state.network.load_state_dict(state.best)
    categories = tuple(sorted({name.split("/")[0] for name in data.names}))
    made = Occupancy(state.network, settings, categories)
    if out is not None:
        made.save(out)
        checkpoint_path(out).unlink(missing_ok=True)
    return made


def mean_iou(network: OccupancyNetwork, shelf: Shelf, *, most_points: int = _VALIDATION_POINTS) -> float:
    """Mean IoU over shapes, each from its first view (or a cloud of a fixed seed), on its first uniform points."""
    s, found = shelf.settings, []
    network.eval()
    for i in range(len(shelf.data)):
        points, inside = (x[:most_points] for x in shelf.points(i))
        seen = shelf.picture(i, 0) if s.input == "image" else shelf.cloud(i, np.random.default_rng(i))
        with torch.no_grad():
            code = network.encoder(seen[None].to(s.device))
            logits = network.decoder(points[None].to(s.device), code)[0].cpu()
        found.append(float(occupancy_iou(logits.sigmoid() >= s.threshold, inside)))
    network.train()
    return sum(found) / len(found)


def _begin(settings: OccupancySettings, seed: int) -> TrainState:
    network = make_network(settings, seed).to(settings.device).train()
    return TrainState(network, torch.optim.Adam(network.parameters(), settings.rate), 0, seed, {}, -1.0)


def _step(state: TrainState, batch: Batch, settings: OccupancySettings) -> float:
    """One step of Adam; returns the mean cross-entropy of a point."""
    for group in state.adam.param_groups:
        group["lr"] = settings.rate * _schedule(state.step / settings.steps, settings.final_rate)
    logits = state.network(batch.seen.to(settings.device), batch.points.to(settings.device))
    inside = batch.inside.to(logits)
    # Published: summed over the points, averaged over the batch.
    loss = functional.binary_cross_entropy_with_logits(logits, inside, reduction="none").sum(1).mean()
    state.adam.zero_grad(set_to_none=True)
    loss.backward()
    state.adam.step()
    state.step += 1
    found = float(loss.detach()) / inside.shape[1]
    if not math.isfinite(found):
        raise ResectError("training", "a finite loss", str(found), "Lower the rate.")
    return found


def _schedule(done: float, final: float) -> float:
    """Half a cosine from 1 to `final`."""
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))


def _digest(data: ShapeSet) -> str:
    return hashlib.sha256(repr(data.names).encode()).hexdigest()


def _resume(out: Path, settings: OccupancySettings, data: ShapeSet) -> TrainState | None:
    """The saved state, or `None` if there is none."""
    path = checkpoint_path(out)
    found = load_checkpoint(path, artifact.as_json(settings))
    if found is None:
        return None
    tensors, facts = found
    fix = "Fit with --overwrite."
    if facts.get("data") != _digest(data):
        raise ResectError(path, "the shapes that the run began with", "others", fix)
    numbers = [facts.get(k) for k in ("step", "seed", "best_iou")]
    if not all(isinstance(n, (int, float)) for n in numbers):
        raise ResectError(path, "a step, a seed and an IoU", repr(numbers), fix)
    state = _begin(settings, int(facts["seed"]))
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "adam": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = tensor
    optimizer: dict[str, Any] = state.adam.state_dict()
    count = len(optimizer["param_groups"][0]["params"])
    try:
        state.network.load_state_dict(parts["network"])
        optimizer["state"] = {
            i: {key: parts["adam"][f"{i}/{key}"] for key in ("step", "exp_avg", "exp_avg_sq")} for i in range(count)
        }
        state.adam.load_state_dict(optimizer)
    except (RuntimeError, KeyError, ValueError) as error:
        raise ResectError(path, "the state of this network", str(error).partition("\n")[0], fix) from None
    state.step, state.best, state.best_iou = int(facts["step"]), parts["best"], float(facts["best_iou"])
    return state


class _Watch:
    """Logs, reports, validates and saves during a fit."""

    def __init__(
        self,
        settings: OccupancySettings,
        data: ShapeSet,
        out: Path | None,
        log: TrainingLog | None,
        progress: Progress | None,
    ) -> None:
        self._settings, self._data, self._out, self._log, self._progress = settings, data, out, log, progress
        self._errors: list[float] = []
        self._saved = time.monotonic()

    def note(self, state: TrainState, error: float) -> None:
        """After a step."""
        self._errors.append(error)
        if state.step % _LOG_EVERY == 0 or state.step == self._settings.steps:
            mean = sum(self._errors) / len(self._errors)
            self._errors.clear()
            if self._log is not None:
                self._log.write(state.step, cross_entropy=mean)
            if self._progress is not None:
                best = f", IoU {state.best_iou:.3f}" if state.best_iou >= 0 else ""
                self._progress(state.step, self._settings.steps, f"cross-entropy {mean:.4f}{best}")
        if self._out is not None and time.monotonic() - self._saved > self._settings.checkpoint_seconds:
            self.save(state)

    def judge(self, state: TrainState, shelf: Shelf) -> None:
        """Keeps the network if it is the best so far."""
        iou = mean_iou(state.network, shelf)
        if self._log is not None:
            self._log.write(state.step, validation_iou=iou)
        if iou > state.best_iou:
            state.best_iou = iou
            state.best = {k: v.detach().cpu().clone() for k, v in state.network.state_dict().items()}

    def save(self, state: TrainState) -> None:
        """Writes a checkpoint."""
        if self._out is None:
            return
        tensors = {f"network/{k}": v for k, v in state.network.state_dict().items()}
        tensors |= {f"best/{k}": v for k, v in state.best.items()}
        for i, values in state.adam.state_dict()["state"].items():
            tensors |= {f"adam/{i}/{k}": v for k, v in values.items()}
        facts = {
            "settings": artifact.as_json(self._settings),
            "data": _digest(self._data),
            "step": state.step,
            "seed": state.seed,
            "best_iou": state.best_iou,
        }
        save_checkpoint(checkpoint_path(self._out), tensors, facts)
        self._saved = time.monotonic()
