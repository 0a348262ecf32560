"""Trains an occupancy network on the cross-entropy of points; the network of the best validation IoU is kept."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from resect.data.shapes import ShapeSet
from resect.errors import ResectError
from resect.metrics.shape import occupancy_iou
from resect.nn.backbone.weights import load_weights
from resect.shape.batches import Batch, Shelf
from resect.shape.network import OccupancyNetwork, make_network
from resect.shape.occupancy import Occupancy
from resect.shape.settings import OccupancySettings
from resect.training.log import Progress
from resect.training.loop import finish, run_seed, train

_VALIDATION_POINTS = 20_000
_VALIDATION_SHAPES = 200


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
        parents: at most one network of the same sizes, to begin from.
        resume: go on from the checkpoint in `out`, if there is one.
        generator: of all randomness; else `settings.seed`.
        held_out: shapes by which the best network is chosen; the last one is kept when not given.
        progress: called with (step, steps, remark).

    Raises:
        KeyboardInterrupt: after Ctrl-C, once the state is saved.
    """
    settings = settings or OccupancySettings()
    seed = run_seed(settings, generator)
    shelf = Shelf(data, settings)
    judge = Shelf(held_out.take(_VALIDATION_SHAPES), settings) if held_out is not None else None
    network = make_network(settings, seed)
    for begin in parents:
        _take_over(network, begin)
    train(
        network,
        shelf.batch,
        loss_of(settings),
        settings,
        seed=seed,
        data=_digest(data),
        out=out,
        resume=resume,
        progress=progress,
        judge=None if judge is None else lambda _: {"validation_iou": mean_iou(network, judge)},
    )
    categories = tuple(sorted({name.split("/")[0] for name in data.names}))
    made = Occupancy(network, settings, categories)
    finish(made, out)
    return made


def _take_over(network: OccupancyNetwork, begin: object) -> None:
    """The weights of another network of the same sizes."""
    if not isinstance(begin, Occupancy):
        raise ResectError("network to begin from", "an occupancy network", type(begin).__name__)
    load_weights(network, {k: v.cpu() for k, v in begin.network.state_dict().items()}, "network to begin from")


def loss_of(settings: OccupancySettings) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """The loss of a batch. As published, cross-entropy is summed over the points and averaged over the batch."""

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        logits = network(batch.seen.to(settings.device), batch.points.to(settings.device))
        summed = functional.binary_cross_entropy_with_logits(logits, batch.inside.to(logits), reduction="none").sum(1)
        found = summed.mean()
        return {"loss": found, "cross_entropy": found.detach() / logits.shape[1]}

    return loss


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


def _digest(data: ShapeSet) -> str:
    return hashlib.sha256(repr(data.names).encode()).hexdigest()
