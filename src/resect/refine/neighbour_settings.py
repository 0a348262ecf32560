"""How training poses near a regressed one are combined. Torch-free."""

from dataclasses import dataclass
from typing import Literal

from resect.training.settings import check

Orientation = Literal["keep", "affine", "eigen", "closest", "max"]


@dataclass(frozen=True)
class NeighbourSettings:
    """How training poses near a regressed one are combined; the defaults are the published ones."""

    count: int = 3
    """How many."""
    weights: Literal["network", "exact"] = "network"
    """Of a small network, drawn anew for each photo and trained for a few steps, or by non-negative least squares."""
    steps: int = 3
    """Of the network."""
    orientation: Orientation = "keep"
    """Of the answer: the regressed one; the weighted mean of the neighbours' quaternions (affine); the principal
    eigenvector of their weighted outer products (eigen); that of the nearest (closest) or the heaviest (max)."""

    def __post_init__(self) -> None:
        check(self, {"count": (1, 1000), "steps": (1, 100_000)})
