"""Trains Implicit-PDF: the true rotation against random ones, which estimate the density's integral."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from resect.data.rotation_set import RotationSet
from resect.geometry import so3, so3_grid
from resect.priors.ipdf.network import make_network
from resect.priors.ipdf.prior import KIND
from resect.priors.ipdf.settings import ImplicitPdfSettings
from resect.priors.rotations.batches import Batch
from resect.priors.rotations.fit import Method, fit_network
from resect.priors.rotations.prior import RotationPrior
from resect.training.log import Progress


def fit(
    data: RotationSet,
    settings: ImplicitPdfSettings | None = None,
    *,
    out: Path | None = None,
    parents: tuple[object, ...] = (),
    resume: bool = False,
    generator: torch.Generator | None = None,
    held_out: RotationSet | None = None,
    progress: Progress | None = None,
    peek: Callable[[int, RotationPrior], None] | None = None,
) -> RotationPrior:
    """Trains a network.

    Args:
        data: images with a rotation each.
        settings: how; the reduced ones when not given.
        out: folder for the artefact, `log.jsonl` and checkpoints; nothing is written when not given.
        parents: none are needed.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        held_out: images by which the best network is chosen; the last one is kept when not given.
        progress: called with (step, steps, remark).
        peek: called now and then with the step and what has been learned; see `training.loop.train`.

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    del parents
    return fit_network(
        Method(KIND, make_network, loss_of),
        data,
        settings or ImplicitPdfSettings(),
        out=out,
        resume=resume,
        generator=generator,
        held_out=held_out,
        progress=progress,
        peek=peek,
    )


def loss_of(settings: ImplicitPdfSettings) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """−log p(truth), p = exp f(truth) / mean of exp f over uniform rotations, of which the truth is one.

    The same random rotations serve all pictures, turned so that the first is the truth of each.
    """
    s = settings

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        rotation = batch.rotation.to(s.device, non_blocking=True)
        drawn = so3.random(s.queries, dtype=torch.float64).to(rotation)
        asked = (drawn @ drawn[0].mT) @ rotation[:, None]
        logits = network(
            batch.picture.to(s.device, non_blocking=True),
            asked.float(),
            batch.label.to(s.device, non_blocking=True) if s.class_label else None,
        )
        log_density = logits[:, 0] - logits.logsumexp(1) + torch.log(torch.tensor(float(s.queries)))
        found = -log_density.mean()
        return {"loss": found, "log_likelihood": -found.detach() - so3_grid.LOG_PI2}

    return loss
