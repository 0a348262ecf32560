"""How far off told positions are, measured on images: what a proposed pose says that it knows of its place."""

from dataclasses import replace

import torch

from resect.data.rotation_set import RotationSet
from resect.priors.rotations.batches import Pictures
from resect.priors.rotations.prior import RotationPrior

_MOST = 200
_BATCH = 16
_LEAST = 1e-4


def with_spread(prior: RotationPrior, data: RotationSet) -> RotationPrior:
    """The same network with the root mean square errors of the three numbers that `rotations/position` speaks of.

    Args:
        prior: as trained.
        data: images with positions, of which at most 200 are looked at, spread over the set. Best those that it did not
            learn from: on its own it is less wrong than on others.
    """
    rows = data.spread(_MOST)
    pictures, errors = Pictures(data, prior.settings), []
    for first in range(0, len(rows), _BATCH):
        part = rows[first : first + _BATCH]
        batch = pictures.rows(part)
        assert batch.position is not None
        code = prior.codes_of(batch.picture.to(prior.settings.device), [data.categories[i] for i in part])
        errors.append(prior.told(code).cpu() - batch.position)
    u, v, depth = torch.cat(errors).square().mean(0).sqrt().clamp_min(_LEAST).tolist()
    return replace(prior, spread=(u, v, depth))
