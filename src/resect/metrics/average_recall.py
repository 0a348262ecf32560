"""Which object was found, at which thresholds: greedy matching by score, and recall averaged over thresholds.

Reference: Hodaň et al., "BOP Challenge 2020 on 6D object localization", ECCVW 2020.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

MSSD_DIAMETERS = VSD_SHARES = tuple(round(0.05 * k, 2) for k in range(1, 11))
"""Thresholds of MSSD in diameters, and of VSD in shares of the visible pixels."""
MSPD_PIXELS = tuple(5.0 * k for k in range(1, 11))
"""Thresholds of MSPD in pixels of an image 640 wide; errors of another width are scaled by 640 / width."""


def match(
    errors: Float[Tensor, "e g"], score: Float[Tensor, "e"], thresholds: Float[Tensor, "k"]
) -> Int[Tensor, "k g"]:
    """Which estimate finds which object instance at each of K thresholds, in one image; −1 where none does.

    Estimates in order of falling score take the instance with the least error that is below the threshold and free; of
    equal scores the earlier row goes first, as in the BOP toolkit.

    Args:
        errors: of each estimate with respect to each instance of the same object.
        score: confidence of each estimate.
        thresholds: of correctness.
    """
    k, g = len(thresholds), errors.shape[1]
    taken = torch.full((k, g), -1, dtype=torch.long)
    if g == 0:
        return taken
    rows = torch.arange(k)
    for e in score.argsort(descending=True, stable=True).tolist():
        free = errors[e].expand(k, g).where(taken < 0, torch.inf)
        least, best = free.min(1)
        hit = least < thresholds
        taken[rows[hit], best[hit]] = e
    return taken


def average_recall(found: Bool[Tensor, "*k n"]) -> float:
    """Mean over all thresholds of the share of N objects that are found; 0 without objects."""
    return float(found.double().mean()) if found.numel() else 0.0
