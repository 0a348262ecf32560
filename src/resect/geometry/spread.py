"""Few points that stand for many: each the farthest from those before it (Gonzalez, 1985)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def farthest_first(points: Float[Tensor, "n d"], count: int, first: int) -> Int[Tensor, "count"]:
    """Numbers of `count` points: `first`, then each the one farthest from all before; again some where n is less."""
    chosen = [first]
    gap = torch.full_like(points[:, 0], torch.inf)
    for _ in range(count - 1):
        gap = torch.minimum(gap, (points - points[chosen[-1]]).norm(dim=1))
        chosen.append(int(gap.argmax()))
    return torch.tensor(chosen)
