"""Trains Image2Sphere: cross-entropy of the cell of the true rotation, over all cells of a grid or random ones."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from resect.data.rotation_set import RotationSet
from resect.geometry import so3_grid
from resect.geometry.so3_series import evaluate, of_product, series_size
from resect.geometry.so3_waves import evaluate_on_fibres, trigonometric
from resect.priors.image2sphere.network import Image2SphereNetwork, cell_positions, fibres, make_network
from resect.priors.image2sphere.position import PositionHead, positions
from resect.priors.image2sphere.prior import KIND
from resect.priors.image2sphere.settings import Image2SphereSettings
from resect.priors.rotations.batches import Batch, Pictures
from resect.priors.rotations.fit import Method, fit_network
from resect.priors.rotations.prior import RotationPrior
from resect.priors.rotations.spread import with_spread
from resect.training.log import Progress


def fit(
    data: RotationSet,
    settings: Image2SphereSettings | None = None,
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
    s, plain = settings or Image2SphereSettings(), Method(KIND, make_network, loss_of)
    if s.translation and held_out is not None:
        positions(Pictures(held_out.subset(range(min(1, len(held_out)))), s), "held-out images")
    return fit_network(
        Method(KIND, make_network, loss_of, _standardize, with_spread) if s.translation else plain,
        data,
        s,
        out=out,
        resume=resume,
        generator=generator,
        held_out=held_out,
        progress=progress,
        peek=peek,
    )


def loss_of(settings: Image2SphereSettings) -> Callable[[nn.Module, Batch], Mapping[str, Tensor]]:
    """The loss of a batch: cross-entropy, with the translation head its loss too; and beside it the log-likelihood that
    the cross-entropy comes to in the field's measure.
    """
    s = settings
    count = s.candidates or so3_grid.cell_count(s.grid_level)

    def loss(network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        rotation = batch.rotation.to(s.device, non_blocking=True)
        code = network(
            batch.picture.to(s.device, non_blocking=True),
            batch.label.to(s.device, non_blocking=True) if s.class_label else None,
        )
        series = code[:, : series_size(s.lmax)]
        with torch.autocast(series.device.type, enabled=False):
            found = (random_loss if s.candidates else grid_loss)(series, rotation, s)
        terms = {"loss": found, "log_likelihood": math.log(count) - so3_grid.LOG_PI2 - found.detach()}
        if not s.translation:
            return terms
        assert batch.position is not None
        place = _place(network).loss(code[:, series_size(s.lmax) :], batch.position)
        return terms | {"loss": found + place, "position_loss": place.detach()}

    return loss


def _place(network: nn.Module) -> PositionHead:
    """The translation head, of a network that processes share too."""
    alone = getattr(network, "module", network)
    assert isinstance(alone, Image2SphereNetwork)
    assert alone.place is not None
    return alone.place


def _standardize(network: nn.Module, pictures: Pictures) -> None:
    _place(network).standardize(positions(pictures, "images"))


def grid_loss(
    series: Float[Tensor, "b k"], rotation: Float[Tensor, "b 3 3"], s: Image2SphereSettings
) -> Float[Tensor, ""]:
    """Over all cells of the grid, which stands still or is turned so that the middle of a random cell is the truth.

    A density learned on the grid that stands still is as blurred as its cells.
    """
    if s.target == "exact":
        cell = torch.randint(so3_grid.cell_count(s.grid_level), (len(series),), device=series.device)
        turn = so3_grid.cell_center(cell, s.grid_level).mT @ rotation
        series = of_product(series, s.lmax, right=turn.to(series))
    else:
        cell = so3_grid.cell_of(rotation, s.grid_level)
    table = fibres(s.lmax, s.grid_level, series.dtype, series.device)
    logits = evaluate_on_fibres(trigonometric(series, s.lmax), table).flatten(1)
    return cross_entropy(logits, cell_positions(s.grid_level, series.device)[cell])


def random_loss(
    series: Float[Tensor, "b k"], rotation: Float[Tensor, "b 3 3"], s: Image2SphereSettings
) -> Float[Tensor, ""]:
    """Over random cells, the same for the whole batch; the nearest one is true."""
    cells = torch.randint(so3_grid.cell_count(s.grid_level), (s.candidates,), device=series.device)
    if s.include_truth:
        own = so3_grid.cell_of(rotation, s.grid_level)[: s.candidates]
        cells = torch.cat([own, cells[len(own) :]])
    there = so3_grid.cell_center(cells, s.grid_level)
    target = (rotation.flatten(1) @ there.flatten(1).mT).argmax(1)
    return cross_entropy(evaluate(series, there.to(series), s.lmax), target)
