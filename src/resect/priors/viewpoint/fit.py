"""Trains a viewpoint network on crops with viewpoints; every batch is fixed by the seed and the step."""

import hashlib
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect import artifact
from resect.data.view_list import ViewList
from resect.errors import ResectError
from resect.priors.viewpoint.bins import soft_label_loss, soft_labels, to_bin
from resect.priors.viewpoint.network import ViewpointNetwork, crop, make_network
from resect.priors.viewpoint.prior import Viewpoint, ready
from resect.priors.viewpoint.settings import ViewpointSettings
from resect.training.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint
from resect.training.interrupt import stop_on_interrupt
from resect.training.log import Progress, TrainingLog

_LOG_EVERY = 50


class Crops:
    """Crops of training images in memory, up to a bound; what does not fit is read again.

    Args:
        data: the images.
        settings: of the network.
    """

    def __init__(self, data: ViewList, settings: ViewpointSettings) -> None:
        self.data, self.settings = data, settings
        self.known = tuple(sorted(set(data.categories)))
        self._category = [self.known.index(name) for name in data.categories]
        self._kept: dict[int, Tensor] = {}
        self._left = settings.memory_gb * 2**30

    def crop(self, index: int) -> Float[Tensor, "3 s s"]:
        """As the network sees it."""
        if index in self._kept:
            return self._kept[index].float() / 255
        seen = (crop(self.data.photo(index), self.settings.side) * 255).round().byte()
        if seen.nbytes <= self._left:
            self._left -= seen.nbytes
            self._kept[index] = seen
        return seen.float() / 255

    def batch(self, step: int, seed: int) -> tuple[Float[Tensor, "b 3 s s"], Int[Tensor, "b"], Float[Tensor, "b 3"]]:
        """Crops, categories and viewpoints of a step; any step, in any order, always the same."""
        g = np.random.default_rng([seed, 6, step])
        rows = g.integers(len(self.data), size=self.settings.batch).tolist()
        flip = torch.from_numpy(g.random(len(rows)) < 0.5) & self.settings.mirror
        seen = torch.stack([self.crop(i) for i in rows])
        seen = torch.where(flip[:, None, None, None], seen.flip(-1), seen)
        mirrored = torch.tensor([-1.0, 1.0, -1.0], dtype=torch.float64)
        viewpoint = self.data.viewpoint[rows] * torch.where(flip[:, None], mirrored, 1.0)
        return seen, torch.tensor([self._category[i] for i in rows]), viewpoint


@dataclass
class TrainState:
    """What a run has come to: the network, its optimiser, steps done, the seed."""

    network: ViewpointNetwork
    optimizer: torch.optim.Optimizer
    step: int
    seed: int


def fit(
    data: ViewList,
    settings: ViewpointSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Viewpoint:
    """Trains a network.

    Args:
        data: crops with viewpoints, see `read_views`.
        settings: how; the reduced ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: none are needed.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        progress: called with (step, steps, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    del parents
    if not isinstance(data, ViewList) or len(data) == 0:
        fix = "Make one with 'resect data views'; resect.data.view_list.read_views reads it."
        raise ResectError("viewpoint", "a list of crops with viewpoints", type(data).__name__, fix)
    s = settings or ViewpointSettings()
    seed = s.seed if generator is None else int(torch.randint(2**31, (), generator=generator))
    crops = Crops(data, s)
    state = _resume(out, crops) if resume and out is not None else None
    state = state or _begin(crops, seed)
    log = TrainingLog(out, tensorboard=s.tensorboard, resume_at=state.step or None) if out else None
    saved, losses = time.monotonic(), list[float]()
    with stop_on_interrupt() as stopped, log or nullcontext():
        while state.step < s.steps:
            losses.append(train_step(state, crops))
            last = state.step == s.steps
            if last or state.step % _LOG_EVERY == 0:
                mean = sum(losses) / len(losses)
                losses.clear()
                if log is not None:
                    log.write(state.step, cross_entropy=mean)
                if progress is not None:
                    progress(state.step, s.steps, f"cross-entropy {mean:.3f}")
            if out is not None and not last and (stopped() or time.monotonic() - saved > s.checkpoint_seconds):
                save_state(state, crops, out)
                saved = time.monotonic()
            if not last and stopped():
                raise KeyboardInterrupt(f"stopped after {state.step} of {s.steps} steps; the state is saved")
    made = Viewpoint(ready(state.network, s), s, crops.known, float(data.distance.mean()))
    if out is not None:
        made.save(out)
        checkpoint_path(out).unlink(missing_ok=True)
    return made


def train_step(state: TrainState, crops: Crops) -> float:
    """One step; returns the loss, the sum over the three angles."""
    s = crops.settings
    for group in state.optimizer.param_groups:
        group["lr"] = s.rate * _schedule(state.step, s)
    seen, category, viewpoint = (x.to(s.device) for x in crops.batch(state.step, state.seed))
    device = torch.device(s.device)
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        torch.manual_seed((state.seed * 1_000_003 + state.step) % 2**63)  # of dropout
        scores = state.network(seen)
    loss = angle_losses(scores, category, viewpoint, s).sum()
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    state.optimizer.step()
    state.step += 1
    found = float(loss.detach())
    if not math.isfinite(found):
        raise ResectError("training", "a finite loss", str(found), "Lower the rate.")
    return found


def angle_losses(
    scores: Float[Tensor, "b 3 c k"], category: Int[Tensor, "b"], viewpoint: Float[Tensor, "b 3"], s: ViewpointSettings
) -> Float[Tensor, "3"]:
    """The loss of azimuth, elevation and tilt, of equal weight."""
    azimuth = soft_labels(s.bins, s.azimuth_sigma_deg, s.azimuth_band_deg, s.normalize)
    other = soft_labels(s.bins, s.other_sigma_deg, s.other_band_deg, s.normalize)
    true_bin = to_bin(viewpoint, s.bins)
    return torch.stack(
        [soft_label_loss(scores[:, i], category, true_bin[:, i], w) for i, w in enumerate((azimuth, other, other))]
    )


def _schedule(step: int, s: ViewpointSettings) -> float:
    if s.optimizer == "sgd":
        return float(0.1 ** (step // s.drop_every))
    return 0.5 * (1 + math.cos(math.pi * step / s.steps))


def _begin(crops: Crops, seed: int) -> TrainState:
    s = crops.settings
    network = make_network(s, len(crops.known), seed).to(s.device).train()
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": s.weight_decay}]
    groups.append({"params": others, "weight_decay": 0.0})
    optimizer: torch.optim.Optimizer = (
        torch.optim.AdamW(groups, s.rate) if s.optimizer == "adam" else torch.optim.SGD(groups, s.rate, momentum=0.9)
    )
    return TrainState(network, optimizer, 0, seed)


def _digest(data: ViewList) -> str:
    content = repr((data.models, data.names)).encode() + data.viewpoint.numpy().tobytes()
    return hashlib.sha256(content).hexdigest()


def save_state(state: TrainState, crops: Crops, out: Path) -> None:
    """Writes a checkpoint."""
    tensors = {f"network/{k}": v for k, v in state.network.state_dict().items()}
    for i, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{i}/{k}": v for k, v in values.items() if isinstance(v, Tensor)}
    facts = {"settings": artifact.as_json(crops.settings), "data": _digest(crops.data)}
    save_checkpoint(checkpoint_path(out), tensors, {**facts, "step": state.step, "seed": state.seed})


def _resume(out: Path, crops: Crops) -> TrainState | None:
    """The saved state, or `None` if there is none."""
    path, fix = checkpoint_path(out), "Fit with --overwrite."
    found = load_checkpoint(path, artifact.as_json(crops.settings))
    if found is None:
        return None
    tensors, facts = found
    if facts.get("data") != _digest(crops.data):
        raise ResectError(path, "the images that the run began with", "others", fix)
    step, seed = facts.get("step"), facts.get("seed")
    if not isinstance(step, int) or not isinstance(seed, int):
        raise ResectError(path, "a step and a seed", f"{step!r}, {seed!r}", fix)
    state = _begin(crops, seed)
    network: dict[str, Tensor] = {}
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        number, _, key = rest.partition("/")
        if part == "network":
            network[rest] = tensor
        elif number.isdecimal():
            moments.setdefault(int(number), {})[key] = tensor
    try:
        state.network.load_state_dict(network)
        state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": moments})
    except (RuntimeError, KeyError, ValueError) as error:
        raise ResectError(path, "the state of this network", str(error).partition("\n")[0], fix) from None
    state.step = step
    return state
