"""How sure densities may be: one number, by which logarithms are divided, fitted on images not learned from.

A network that was trained long is too sure of what it has not seen, one that was trained on rounded labels not sure
enough. Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017. The best rotation stays.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from resect.data.rotation_set import RotationSet
from resect.priors.rotations.prior import RotationPrior

_MOST = 200
_LEVEL = 6  # a density may be sharper than the cells it is answered on
_BATCH = 16
_RANGE = 8.0


def calibrated(prior: RotationPrior, held_out: RotationSet) -> RotationPrior:
    """The same network with the temperature at which labels of held-out images are most likely.

    Args:
        prior: as trained; what its temperature was does not matter.
        held_out: of which at most 200 are looked at, spread over the set.
    """
    from scipy.optimize import minimize_scalar

    plain = replace(prior, temperature=1.0)
    rows = held_out.spread(_MOST)
    labels: list[Tensor] = []
    cells: list[tuple[Tensor, Tensor]] = []
    for first in range(0, len(rows), _BATCH):
        part = rows[first : first + _BATCH]
        codes, views = plain.codes([held_out.photo(i) for i in part])
        for i, code, view in zip(part, codes, views, strict=True):
            density = plain.density_of(code, max(_LEVEL, prior.settings.density_level))
            labels.append(density.log_prob(view.turn @ held_out.rotation[i].double().cpu()))
            cells.append((density.log_density, density.volume.log().to(density.log_density)))

    def unlikely(cold: float) -> float:
        """Of labels at a temperature of exp(−cold); convex in exp(cold)."""
        sharp = math.exp(cold)
        total = torch.stack([(sharp * value + volume).logsumexp(0) for value, volume in cells])
        return float((total - sharp * torch.stack(labels)).mean())

    most = math.log(_RANGE)
    return replace(prior, temperature=math.exp(-minimize_scalar(unlikely, bounds=(-most, most), method="bounded").x))
