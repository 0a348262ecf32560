"""The one training loop: every method gives a network, batches and a loss, and gets the rest.

A batch is a function of the seed and the step alone, so that a run that was interrupted and resumed makes the network
that an uninterrupted one makes, and batches can be prepared ahead by threads.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from resect.errors import ResectError
from resect.training.checkpoint import checkpoint_path
from resect.training.interrupt import stop_on_interrupt
from resect.training.log import Progress, TrainingLog
from resect.training.ranks import any_of, is_first, joined, shared
from resect.training.settings import TrainingSettings
from resect.training.state import State, begin, rate, restore, save

B = TypeVar("B")
_LOG_EVERY = 50
_NORM_EVERY = 2 * _LOG_EVERY  # steps between measurements of the gradient
_TELL_SECONDS = 5.0
_PEEKS = 30


@dataclass(frozen=True)
class Turn:
    """Which batch is asked for.

    Attributes:
        step: counted from 0.
        seed: of the run.
        rank: number of this process, and
        ranks: how many share the batch.
    """

    step: int
    seed: int
    rank: int = 0
    ranks: int = 1

    def mine(self, rows: Sequence[int]) -> list[int]:
        """This process's share of a batch: draw the whole batch's rows by seed and step, then take these."""
        return list(rows[self.rank :: self.ranks])


Loss = Callable[[nn.Module, B], Mapping[str, Tensor]]
"""From the network and a batch to named scalars: "loss" is made small, all are logged. Only calls the network."""


def train(
    network: nn.Module,
    batch: Callable[[Turn], B],
    loss: Loss[B],
    settings: TrainingSettings,
    *,
    seed: int,
    data: str,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    judge: Callable[[nn.Module], Mapping[str, float]] | None = None,
    peek: Callable[[int, nn.Module], None] | None = None,
) -> nn.Module:
    """Trains a network in place and returns it, on the settings' device and in training mode.

    Args:
        network: with its first weights.
        batch: the batch of a turn; depends on nothing else, not on the global random state either.
        loss: of a batch. Global randomness in it (dropout) is fixed by seed and step.
        settings: how.
        seed: of the run; a resumed run keeps its own.
        data: what is learned from, such as a digest; a run is resumed only on the same.
        out: folder for `log.jsonl` and checkpoints; nothing is written when not given.
        resume: go on from the checkpoint in `out`, if there is one.
        progress: called with (step, steps, remark).
        judge: named scalars of the network in evaluation mode on held-out samples; the network with the greatest first
            one is what training ends with.
        peek: called some thirty times, more often at first, with the step and the network in evaluation mode; for
            pictures of how it learns.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
        ResectError: the loss stopped being finite.
    """
    with joined(settings.device) as (rank, ranks):
        state = begin(network, settings, seed)
        if resume and out is not None:
            restore(state, settings, data, out)
        out, progress = (out, progress) if rank == 0 else (None, None)
        log = TrainingLog(out, tensorboard=settings.tensorboard, resume_at=state.step or None) if out else None
        watch = _Watch(settings, data, out, log, progress, *((judge, peek) if rank == 0 else (None, None)))
        seen_as = shared(state.network, ranks)
        turn = Turn(state.step, state.seed, rank, ranks)
        with stop_on_interrupt() as stopped, log or nullcontext():
            for made in _batches(batch, turn, settings):
                measured = watch.measures(state.step)
                watch.note(state, *_step(state, seen_as, made, loss, settings, rank, measured))
                if state.step < settings.steps and any_of(stopped(), ranks, settings.device):
                    watch.save(state)
                    raise KeyboardInterrupt(f"stopped after {state.step} of {settings.steps} steps; the state is saved")
    if state.best:
        state.network.load_state_dict(state.best)
    return state.network


class Savable(Protocol):
    """Something fitted."""

    def save(self, folder: Path) -> None:
        """Writes the artefact."""
        ...


def finish(made: Savable, out: Path | None) -> None:
    """Writes what was trained, and removes the checkpoint that it no longer needs; the first process alone does."""
    if out is not None and is_first():
        made.save(out)
        checkpoint_path(out).unlink(missing_ok=True)


def run_seed(settings: TrainingSettings, generator: torch.Generator | None) -> int:
    """The seed of a run: drawn from a generator, else the settings' own."""
    return settings.seed if generator is None else int(torch.randint(2**31, (), generator=generator))


def _batches(batch: Callable[[Turn], B], turn: Turn, settings: TrainingSettings) -> Iterator[B]:
    """The batches of all turns from `turn` on."""
    turns = (replace(turn, step=step) for step in range(turn.step, settings.steps))
    if settings.ahead == 0:
        yield from map(batch, turns)
        return
    on_gpu = torch.device(settings.device).type == "cuda"
    chosen = (
        (torch.cuda.set_device, (torch.cuda.current_device(),)) if on_gpu else (None, ())
    )  # each thread has its own
    with ThreadPoolExecutor(settings.ahead, "batch", *chosen) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for t in turns:
                waiting.append(pool.submit(batch, t))
                if len(waiting) > settings.ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _step(
    state: State, network: nn.Module, batch: B, loss: Loss[B], settings: TrainingSettings, rank: int, measured: bool
) -> tuple[dict[str, Tensor], Tensor | None]:
    """One step of the optimiser; returns what is to be logged, and the gradient's norm if it is `measured`."""
    device = torch.device(settings.device)
    for group in state.optimizer.param_groups:
        group["lr"] = rate(state.step, settings)
    lower = settings.precision != "float32"
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        # torch.manual_seed would also note where it was called from, for devices that are not there: 2 ms a step
        source = torch.default_generator if device.type == "cpu" else torch
        source.manual_seed(((state.seed * 1_000_003 + state.step) * 64 + rank) % 2**63)
        with torch.autocast(device.type, getattr(torch, settings.precision)) if lower else nullcontext():
            terms = loss(network, batch)
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(terms["loss"]).backward()
    norm = None
    if settings.clip > 0 or measured:
        state.scaler.unscale_(state.optimizer)
        norm = nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip or math.inf)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    return {name: value.detach() for name, value in terms.items()}, norm if measured else None


class _Watch:
    """Logs, reports, validates and saves during a run."""

    def __init__(
        self,
        settings: TrainingSettings,
        data: str,
        out: Path | None,
        log: TrainingLog | None,
        progress: Progress | None,
        judge: Callable[[nn.Module], Mapping[str, float]] | None,
        peek: Callable[[int, nn.Module], None] | None,
    ) -> None:
        self._settings, self._data, self._out = settings, data, out
        self._log, self._progress, self._judge, self._peek = log, progress, judge, peek
        self._sum: dict[str, Tensor] = {}
        self._count = 0
        self._saved = self._told = time.monotonic()

    def measures(self, step: int) -> bool:
        """Whether the gradient of the step that comes next is measured: now and then, where it will be drawn."""
        return self._log is not None and self._log.drawn and (step + 1) % _NORM_EVERY == 0

    def note(self, state: State, terms: Mapping[str, Tensor], norm: Tensor | None) -> None:
        """After a step. Scalars are read from the device only now and then: reading waits for it."""
        self._sum = {k: self._sum[k] + v if k in self._sum else v for k, v in terms.items()}
        self._count += 1
        s, now = self._settings, time.monotonic()
        last = state.step == s.steps
        if last or state.step % _LOG_EVERY == 0:
            means = self._means()
            if self._log is not None:
                self._log.write(state.step, **means, **({} if norm is None else {"gradient_norm": float(norm)}))
            self._tell(state, means)
            self._sum, self._count = {}, 0
        elif self._progress is not None and now - self._told > _TELL_SECONDS:
            self._tell(state, self._means())
        if self._peek is not None and _peeks(state.step, s.steps) > _peeks(state.step - 1, s.steps):
            with _evaluating(state.network):
                self._peek(state.step, state.network)
        if self._judge is not None and (last or state.step % s.validate_every == 0):
            self._validate(state, self._judge)
        if self._out is not None and not last and now - self._saved > s.checkpoint_seconds:
            self.save(state)

    def save(self, state: State) -> None:
        """Writes a checkpoint of a state that is sound."""
        if self._out is not None:
            self._means()
            save(state, self._settings, self._data, self._out)
            self._saved = time.monotonic()

    def _means(self) -> dict[str, float]:
        """Of each scalar since the last line of the log."""
        means = {name: float(value) / self._count for name, value in self._sum.items()}
        if not all(math.isfinite(value) for value in means.values()):
            raise ResectError("training", "a finite loss", f"{means}", "Lower the rate.")
        return means

    def _tell(self, state: State, means: Mapping[str, float]) -> None:
        if self._progress is not None:
            remark = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in means.items())
            best = f", best {state.best_score:.4g}" if state.best else ""
            self._progress(state.step, self._settings.steps, remark + best)
            self._told = time.monotonic()

    def _validate(self, state: State, judge: Callable[[nn.Module], Mapping[str, float]]) -> None:
        """Keeps the network if it is the best so far."""
        with _evaluating(state.network):
            found = dict(judge(state.network))
        if self._log is not None:
            self._log.write(state.step, **found)
        score = next(iter(found.values()))
        if score > state.best_score:
            state.best_score = score
            state.best = {k: v.detach().cpu().clone() for k, v in state.network.state_dict().items()}


def _peeks(step: int, steps: int) -> int:
    """How many peeks there have been after a step."""
    return int(_PEEKS * math.sqrt(step / steps))


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    network.eval()
    with torch.no_grad():
        yield
    network.train()
