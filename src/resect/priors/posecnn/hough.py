"""Centres of objects by voting: every cell of an object knows the direction to its centre.

Two directions meet in a point. Points of random pairs of cells are candidates; a cell votes for a candidate that lies
where it points to. All candidates and cells at once, so that vertical directions are as good as others, and centres may
lie outside of the picture. Published: each cell votes along its line, both ways, in a histogram of pixels.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

_PAIRS, _MOST_CELLS = 256, 1024
_PARALLEL = 0.05  # sine between two directions below which they do not say where they meet
_REFINEMENTS = 3


@dataclass(frozen=True, eq=False)
class Vote:
    """One centre.

    Attributes:
        centre: pixels.
        voters: which of the cells vote for it.
    """

    centre: Float[Tensor, "2"]
    voters: Bool[Tensor, "n"]


def find_centres(
    at: Float[Tensor, "n 2"],
    direction: Float[Tensor, "n 2"],
    generator: torch.Generator,
    *,
    reach: Float[Tensor, "n"] | None = None,
    agreeing: float = 0.9,
    least: int = 10,
    least_share: float = 0.4,
    most: int = 1,
) -> list[Vote]:
    """Centres that cells vote for, the one with most votes first; further ones by the cells that are left.

    Args:
        at: where the cells are, pixels.
        direction: to the centre; any length.
        generator: of the pairs.
        reach: how far from its centre each cell can be, pixels; anywhere where not given.
        agreeing: cosine above which a cell votes for a centre.
        least: votes that a centre needs.
        least_share: part of the cells in reach of it that a further centre needs.
        most: centres to find.
    """
    direction = normalize(direction, dim=-1)
    reach = at.new_full((len(at),), math.inf) if reach is None else reach
    left = torch.ones(len(at), dtype=torch.bool, device=at.device)
    found: list[Vote] = []
    for _ in range(most):
        vote = _best(at, direction, reach, left, generator, agreeing)
        if vote is None:
            break
        around = int(((at - vote.centre).norm(dim=-1) <= reach).sum()) if found else 0
        if int(vote.voters.sum()) < max(least, least_share * around):
            break
        found.append(vote)
        left = left & ~vote.voters
        if int(left.sum()) < least:
            break
    return found


def _best(
    at: Tensor, direction: Tensor, reach: Tensor, left: Tensor, generator: torch.Generator, agreeing: float
) -> Vote | None:
    index = left.nonzero()[:, 0]
    if len(index) < 2:
        return None
    if len(index) > _MOST_CELLS:
        index = index[torch.randperm(len(index), generator=generator)[:_MOST_CELLS].to(index)]
    p, d, far = at[index], direction[index], reach[index]
    pair = torch.randint(len(p), (_PAIRS, 2), generator=generator).to(at.device)
    candidates = meet(p[pair[:, 0]], d[pair[:, 0]], p[pair[:, 1]], d[pair[:, 1]])
    if len(candidates) == 0:
        return None
    votes = (agreement(candidates, p, d, far) > agreeing).sum(1)
    centre = candidates[votes.argmax()]
    for _ in range(_REFINEMENTS):  # least squares of the distances to the lines of those that agree well
        voters = agreement(centre[None], p, d, far)[0] > (1 + agreeing) / 2
        if int(voters.sum()) < 2:
            break
        across = torch.stack([-d[voters, 1], d[voters, 0]], -1)
        normal = across.mT @ across
        if float(torch.linalg.det(normal)) < 1e-6 * float(normal.trace()) ** 2:
            break
        centre = torch.linalg.solve(normal, across.mT @ (across * p[voters]).sum(-1))
    voters = left & (agreement(centre[None], at, direction, reach)[0] > agreeing)
    return Vote(centre, voters)


def meet(
    p: Float[Tensor, "k 2"], d: Float[Tensor, "k 2"], q: Float[Tensor, "k 2"], e: Float[Tensor, "k 2"]
) -> Float[Tensor, "m 2"]:
    """Where rays p + t d and q + u e meet, t and u > 0; pairs that are nearly parallel or meet behind are left out."""
    cross = d[:, 0] * e[:, 1] - d[:, 1] * e[:, 0]
    gap = q - p
    safe = torch.where(cross.abs() < _PARALLEL, torch.ones_like(cross), cross)
    t = (gap[:, 0] * e[:, 1] - gap[:, 1] * e[:, 0]) / safe
    u = (gap[:, 0] * d[:, 1] - gap[:, 1] * d[:, 0]) / safe
    good = (cross.abs() >= _PARALLEL) & (t > 0) & (u > 0)
    return (p + t[:, None] * d)[good]


def agreement(
    centres: Float[Tensor, "k 2"],
    at: Float[Tensor, "n 2"],
    direction: Float[Tensor, "n 2"],
    reach: Float[Tensor, "n"],
) -> Float[Tensor, "k n"]:
    """Cosine between each cell's direction, a unit vector, and its way to each centre; 1 for a cell that lies in the
    centre, −1 for one that is too far away.
    """
    way = centres[:, None] - at
    length = way.norm(dim=-1)
    cosine = (way * direction).sum(-1) / length.clamp_min(1e-6)
    return torch.where(length < 1.0, 1.0, torch.where(length > reach, -1.0, cosine))
