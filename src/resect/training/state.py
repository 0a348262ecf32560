"""What a training run has come to: network, optimiser, steps done, best network; saved and restored."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resect import artifact
from resect.errors import ResectError
from resect.training.checkpoint import checkpoint_path, load_checkpoint, save_checkpoint
from resect.training.settings import TrainingSettings

_FIX = "Fit with --overwrite."


@dataclass
class State:
    """Of a run.

    Attributes:
        network: being trained.
        optimizer: of its parameters.
        scaler: of losses in float16; does nothing in other precisions.
        seed: of the run.
        step: steps done.
        best: weights of the best validation so far, and
        best_score: its score; −∞ before the first.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    seed: int
    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    best_score: float = -math.inf


def begin(network: nn.Module, settings: TrainingSettings, seed: int) -> State:
    """A run before its first step."""
    s = settings
    device = torch.device(s.device)
    network = network.to(device).train()
    weights = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": s.weight_decay}]
    groups.append({"params": others, "weight_decay": 0.0})
    groups = [g for g in groups if g["params"]]
    optimizer: torch.optim.Optimizer = (
        torch.optim.AdamW(groups, s.rate, fused=device.type == "cpu")
        if s.optimizer == "adam"
        else torch.optim.SGD(groups, s.rate, momentum=s.momentum, nesterov=s.nesterov and s.momentum > 0)
    )
    return State(network, optimizer, torch.amp.GradScaler(device.type, enabled=s.precision == "float16"), seed)


def rate(step: int, settings: TrainingSettings) -> float:
    """The learning rate of a step, counted from 0."""
    s = settings
    rise = min(1.0, (step + 1) / (s.warmup + 1))
    if s.schedule == "drops":
        return s.rate * rise * s.drop_to ** (step // s.drop_every)
    if s.schedule == "exponential":
        return s.rate * rise * s.drop_to ** (step / s.drop_every)
    if s.schedule == "constant":
        return s.rate * rise
    return s.rate * rise * (s.final_rate + (1 - s.final_rate) * 0.5 * (1 + math.cos(math.pi * step / s.steps)))


def save(state: State, settings: TrainingSettings, data: str, out: Path) -> None:
    """Writes a checkpoint; `data` says what is learned from."""
    tensors = {f"network/{k}": v for k, v in state.network.state_dict().items()}
    tensors |= {f"best/{k}": v for k, v in state.best.items()}
    for i, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{i}/{k}": v for k, v in values.items() if isinstance(v, Tensor)}
    facts = {"settings": artifact.as_json(settings), "data": data, "step": state.step, "seed": state.seed}
    if state.best:
        facts["best_score"] = state.best_score
    if state.scaler.is_enabled():
        facts["scaler"] = state.scaler.state_dict()
    save_checkpoint(checkpoint_path(out), tensors, facts)


def restore(state: State, settings: TrainingSettings, data: str, out: Path) -> None:
    """Takes up the run saved in a folder, if there is one.

    Raises:
        ResectError: it was begun with other settings or other data, or the file is damaged.
    """
    path = checkpoint_path(out)
    found = load_checkpoint(path, artifact.as_json(settings))
    if found is None:
        return
    tensors, facts = found
    if facts.get("data") != data:
        raise ResectError(path, "the data that the run began with", "others", _FIX)
    step, seed, score = facts.get("step"), facts.get("seed"), facts.get("best_score", -math.inf)
    if not isinstance(step, int) or not isinstance(seed, int) or not isinstance(score, float):
        raise ResectError(path, "a step, a seed and a score", f"{step!r}, {seed!r}, {score!r}", _FIX)
    if not 0 <= step <= settings.steps:
        raise ResectError(path, f"a step of at most {settings.steps}", str(step), _FIX)
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = tensor
    try:
        state.network.load_state_dict(parts["network"])
        _restore_optimizer(state.optimizer, parts["optimizer"])
        if state.scaler.is_enabled():
            state.scaler.load_state_dict(facts["scaler"])
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ResectError(path, "the state of this network", str(error).partition("\n")[0], _FIX) from None
    state.step, state.seed, state.best, state.best_score = step, seed, parts["best"], score


def _restore_optimizer(optimizer: torch.optim.Optimizer, found: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in found.items():
        number, _, key = name.partition("/")
        parameter = parameters[int(number)] if int(number) < len(parameters) else None
        if parameter is None or (tensor.ndim > 0 and tensor.shape != parameter.shape):
            raise ValueError(f"{name} belongs to no parameter")
        moments.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
