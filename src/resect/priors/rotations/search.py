"""Where a function on SO(3) is greatest, and how its exponential is spread, without a table of all rotations.

Coarse cells are looked at first, the best ones are cut into eight, and so on; the greatest is followed to its peak.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry import so3, so3_grid
from resect.types import RotationDensity

Logits = Callable[[Float[Tensor, "n 3 3"]], Float[Tensor, "n"]]
Local = Callable[[Float[Tensor, "k 3 3"]], tuple[Float[Tensor, "k"], Float[Tensor, "k 3"], Float[Tensor, "k 3 3"]]]
"""Value, gradient and second derivatives of f(exp(ω) R) by ω at 0."""

FIRST = 3
"""Level at which a search begins: 7.5°, where functions on SO(3) of a few degrees are smooth."""
_LONGEST = 0.1  # radians a step
_FLAT = 1e-6


def subdivide(
    logits: Logits, first: Float[Tensor, "m"], level: int, finest: int, *, most: int = 1024, inside: int = 2
) -> RotationDensity:
    """The density ∝ exp(logits), fine where it is greatest.

    Args:
        logits: at any rotations.
        first: at the middles of all cells of a level.
        level: that level.
        finest: of the smallest cells.
        most: how many cells are cut at each level. The best are cut whatever share they seem to have: beside a narrow
            peak the middle of a cell may have next to none.
        inside: levels beyond the finest down to which the smallest cells' densities are averaged; a peak may be
            narrower than they are.
    """
    cells, values = torch.arange(len(first), device=first.device), first
    kept: list[tuple[Tensor, Tensor, int]] = []
    for deeper in range(level + 1, finest + inside + 1):
        chosen = values.topk(min(most, len(values))).indices
        stays = torch.ones_like(cells, dtype=torch.bool)
        stays[chosen] = False
        kept.append((cells[stays], values[stays], deeper - 1))
        cells = so3_grid.children(cells[chosen]).flatten()
        values = logits(so3_grid.cell_center(cells, deeper)).to(first)
    kept.append((cells, values, finest + inside))
    levels = torch.cat([torch.full_like(c, at) for c, _, at in kept])
    whole, every = torch.cat([v for _, v, _ in kept]), torch.cat([c for c, _, _ in kept])
    return RotationDensity.of_logits(whole, cell=every, level=levels).joined(finest)


def greatest_cell(
    at_cells: Callable[[Int[Tensor, "n"], int], Float[Tensor, "n"]],
    cells: Int[Tensor, "m"],
    values: Float[Tensor, "m"],
    level: int,
    finest: int,
    *,
    most: int = 16,
) -> Int[Tensor, ""]:
    """The cell of the finest level at whose middle the function is greatest, among children of the `most` best.

    Args:
        at_cells: the function at the middles of cells of a level.
        cells: all cells of a level, in any order.
        values: there.
        level: that level.
        finest: the level of the answer.
        most: how many are cut at each level.
    """
    for deeper in range(level + 1, finest + 1):
        chosen = values.topk(min(most, len(values))).indices
        cells = so3_grid.children(cells[chosen]).flatten()
        values = at_cells(cells, deeper)
    return cells[values.argmax()]


def ascend(local: Local, start: Float[Tensor, "k 3 3"], steps: int = 12) -> Float[Tensor, "k 3 3"]:
    """Each rotation moved uphill, by Newton's steps where the function bends down and along the gradient elsewhere.

    A step is taken only if it goes up; else a shorter one is tried.
    """
    at, reach = start, torch.full((len(start),), _LONGEST, dtype=start.dtype, device=start.device)
    value, gradient, second = local(at)
    for _ in range(steps):
        bend, axes = torch.linalg.eigh(second)
        along = (axes.mT @ gradient[..., None])[..., 0] / bend.abs().clamp_min(_FLAT)
        move = (axes @ along[..., None])[..., 0]
        move = move * (reach / move.norm(dim=-1).clamp_min(1e-30)).clamp_max(1)[:, None]
        there = so3.exp(move) @ at
        found = local(there)
        up = found[0] > value
        if not bool(up.any()) and bool((reach < 1e-5).all()):
            break
        at = torch.where(up[:, None, None], there, at)
        value = torch.where(up, found[0], value)
        gradient = torch.where(up[:, None], found[1], gradient)
        second = torch.where(up[:, None, None], found[2], second)
        reach = torch.where(up, reach, 0.25 * torch.minimum(reach, move.norm(dim=-1)))
    return at
