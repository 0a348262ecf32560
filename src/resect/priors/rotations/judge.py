"""How well a network explains held-out labels: the mean log-likelihood by which the best network is kept."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from resect.data.rotation_set import RotationSet
from resect.errors import unknown_name
from resect.geometry import so3_grid
from resect.priors.rotations.batches import Pictures
from resect.priors.rotations.prior import RotationNetwork

_MOST = 512
_BATCH = 32
_LEVEL = 3


def judge_of(
    held_out: RotationSet | None, pictures: Pictures, network: nn.Module
) -> Callable[[nn.Module], Mapping[str, float]] | None:
    """What `training.loop.train` calls: the mean over at most 512 images, spread over the set, at the 7.5° grid.

    Args:
        held_out: images that are not learned from.
        pictures: that are.
        network: being trained, as a `RotationNetwork`.
    """
    if held_out is None:
        return None
    for name in held_out.known:
        if name not in pictures.known:
            raise unknown_name("category of held-out images", name, pictures.known)
    rows = held_out.spread(_MOST)
    shelf = Pictures(held_out.subset(rows), pictures.settings)

    def judge(_: nn.Module) -> Mapping[str, float]:
        total = 0.0
        for first in range(0, len(rows), _BATCH):
            total += float(
                _log_likelihood(network, shelf, range(first, min(first + _BATCH, len(rows))), pictures).sum()
            )
        return {"validation_log_likelihood": total / len(rows)}

    return judge


def _log_likelihood(network: nn.Module, shelf: Pictures, rows: range, pictures: Pictures) -> torch.Tensor:
    batch, s = shelf.rows(rows), pictures.settings
    asked: RotationNetwork = network  # type: ignore[assignment]
    label = None
    if s.class_label:
        label = torch.tensor([pictures.known.index(shelf.data.categories[i]) for i in rows], device=s.device)
    logits = asked.on_level(asked.code(batch.picture.to(s.device), label), _LEVEL).double()
    cell = so3_grid.cell_of(batch.rotation.to(s.device), _LEVEL)
    found = logits.gather(1, cell[:, None])[:, 0] - logits.logsumexp(1)
    return found + torch.log(torch.tensor(so3_grid.cell_count(_LEVEL))).to(found) - so3_grid.LOG_PI2
