"""What training a network for rotations is, whatever its loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from resect.data.rotation_set import RotationSet
from resect.priors.rotations.augment import Variety, augmented
from resect.priors.rotations.batches import Batch, Pictures, digest
from resect.priors.rotations.judge import judge_of
from resect.priors.rotations.prior import RotationPrior, ready
from resect.priors.rotations.settings import RotationSettings
from resect.priors.rotations.temperature import calibrated
from resect.training.log import Progress
from resect.training.loop import finish, run_seed, train

S = TypeVar("S", bound=RotationSettings)
Loss = Callable[[nn.Module, Batch], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Method(Generic[S]):
    """How networks of a kind are made and what they are trained by.

    Attributes:
        kind: name in the zoo.
        make: a network from settings, the number of categories and a seed.
        loss: of a batch.
        begin: what a new network is to know of its pictures before it learns.
        end: what is measured of a trained network, on held-out images where there are some.
    """

    kind: str
    make: Callable[[S, int, int], nn.Module]
    loss: Callable[[S], Loss]
    begin: Callable[[nn.Module, Pictures], None] | None = None
    end: Callable[[RotationPrior, RotationSet], RotationPrior] | None = None


def fit_network(
    method: Method[S],
    data: RotationSet,
    settings: S,
    *,
    out: Path | None,
    resume: bool,
    generator: torch.Generator | None,
    held_out: RotationSet | None,
    progress: Progress | None,
    peek: Callable[[int, RotationPrior], None] | None,
) -> RotationPrior:
    """Trains a network; arguments as those of the methods' own `fit`."""
    s, seed, learned_from = settings, run_seed(settings, generator), digest(data)
    if s.augment:
        data = augmented(data, s.side, Variety(s.augment, roll_deg=s.roll_deg, seed=seed), s.device)
    pictures = Pictures(data, replace(s, roll_deg=0.0) if s.augment else s)
    network = method.make(s, len(pictures.known), seed)
    if method.begin is not None:
        method.begin(network, pictures)
    train(
        network,
        pictures.batch,
        method.loss(s),
        s,
        seed=seed,
        data=digest(data),
        out=out,
        resume=resume,
        progress=progress,
        judge=judge_of(held_out, pictures, network),
        peek=None if peek is None else lambda step, it: peek(step, RotationPrior(method.kind, it, s, pictures.known)),
    )
    made = RotationPrior(method.kind, ready(network, s), s, pictures.known, learned_from=learned_from)
    if held_out is not None:
        made = calibrated(made, held_out)
    if method.end is not None:
        made = method.end(made, data if held_out is None else held_out)
    finish(made, out)
    return made
