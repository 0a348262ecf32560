"""Where a surface may be symmetric: every direction is tried on a grid of distances, the best are refined.

A symmetry of a surface keeps its centroid, so a rotation is one about an axis through it; if there is any, there is one
whose order is a prime. All directions of half a sphere, 3° apart, are tried with the small primes; the principal axes
of inertia with all primes, because only about these can an order above 5 occur unless the inertia is a ball's.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry import so3
from resect.shape.sampled_surface import SampledSurface

MIRROR = 0
"""The "order" of a reflection."""
_DIRECTIONS = 2000
_GRID = 96
_TRIED = 256  # probes a motion while searching
_KEPT = 24  # axes of an order that are refined; the icosahedron has 15 of order 2
_SMALL = (MIRROR, 2, 3, 5, 7, 11, 13)
_HOPELESS = 0.1  # diameters, root mean square: no refinement starts from farther
_PROMISING = 0.03  # the same, beyond the tolerance, after a first refinement with few probes
_FEW = 96
_LEAST = 8
_CAP = 0.15
_COLOR_SCALE = 0.2  # a colour difference that counts as much as …
_SHAPE_SCALE = 0.02  # … this distance in diameters


@dataclass(frozen=True, eq=False)
class Axes:
    """Lines about which a turn may change nothing.

    Attributes:
        direction: unit vectors.
        center: a point of each, in diameters about the centroid.
        order: the turn is a full one / order; `MIRROR` is a reflection across the plane instead.
        score: root mean square distance on the grid, in diameters.
    """

    direction: Float[Tensor, "k 3"]
    center: Float[Tensor, "k 3"]
    order: Int[Tensor, "k"]
    score: Float[Tensor, "k"]

    def __len__(self) -> int:
        return len(self.order)

    def take(self, index: Tensor) -> "Axes":
        """These, in this order."""
        return Axes(self.direction[index], self.center[index], self.order[index], self.score[index])

    @property
    def motions(self) -> Float[Tensor, "k 3 3"]:
        """The orthogonal matrix of each."""
        return motions(self.direction, self.order)


@dataclass(frozen=True, eq=False)
class DistanceGrid:
    """Nearest sample of each cell of a cube around the surface.

    Attributes:
        sample: index of a sample near the cell.
        distance: of the cell's centre from it, in diameters.
        half: half the side of the cube.
        surface: whose samples they are.
    """

    sample: Int[Tensor, "g g g"]
    distance: Float[Tensor, "g g g"]
    half: float
    surface: SampledSurface

    @classmethod
    def of(cls, surface: SampledSurface) -> "DistanceGrid":
        """By an exact distance transform of the cells that hold samples."""
        from scipy.ndimage import distance_transform_edt

        half = surface.reach * 1.05
        cells = ((surface.points / half + 1) * (_GRID / 2)).long().clamp(0, _GRID - 1)
        held = torch.full((_GRID,) * 3, -1)
        held[cells.unbind(-1)] = torch.arange(len(cells))
        _, near = distance_transform_edt((held < 0).numpy(), return_indices=True)
        sample = held[torch.from_numpy(near).long().unbind(0)]
        axis = (torch.arange(_GRID, dtype=torch.float64) + 0.5) * (2 * half / _GRID) - half
        middle = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
        return cls(sample, (middle - surface.points[sample]).norm(dim=-1).float(), half, surface)

    def score(
        self,
        motion: Float[Tensor, "k 3 3"],
        center: Float[Tensor, "k 3"],
        probes: Int[Tensor, "p"],
        color: bool = False,
    ) -> Float[Tensor, "k"]:
        """Root mean square distance of moved probes from the surface, in diameters.

        With `color`, of both shape and colour, in units of their scales.
        """
        found = []
        for flat in self._cells(motion, center, probes):
            error = self.distance.view(-1)[flat].clamp_max_(_CAP).square_().mean(-1)
            if color and self.surface.colors is not None:
                colors = self.surface.colors.float()
                other = colors[self.sample.view(-1)[flat]] - colors[probes]
                error = error / _SHAPE_SCALE**2 + other.square().mean((-1, -2)) / _COLOR_SCALE**2
            found.append(error)
        return torch.cat(found).sqrt().double()

    def farthest(
        self, motion: Float[Tensor, "k 3 3"], center: Float[Tensor, "k 3"], probes: Int[Tensor, "p"]
    ) -> Float[Tensor, "k"]:
        """Distance that 98 % of the moved probes stay within, in diameters; about a cell wrong, either way."""
        last = math.ceil(0.98 * len(probes))
        cells = self._cells(motion, center, probes)
        return torch.cat([self.distance.view(-1)[flat].kthvalue(last).values for flat in cells]).double()

    def _cells(
        self, motion: Float[Tensor, "k 3 3"], center: Float[Tensor, "k 3"], probes: Int[Tensor, "p"]
    ) -> Iterator[Int[Tensor, "c p"]]:
        points = self.surface.points[probes].float()
        for r, c in zip(motion.float().split(4096), center.float().split(4096), strict=True):
            moved = torch.einsum("kij,kpj->kpi", r, points - c[:, None]) + c[:, None]
            cell = ((moved / self.half + 1) * (_GRID / 2)).long().clamp_(0, _GRID - 1)
            yield (cell[..., 0] * _GRID + cell[..., 1]) * _GRID + cell[..., 2]


def motions(direction: Float[Tensor, "k 3"], order: Int[Tensor, "k"]) -> Float[Tensor, "k 3 3"]:
    """Rotations by a full turn / order; for `MIRROR`, reflections across the plane normal to the direction."""
    angle = torch.where(order == MIRROR, torch.full_like(order, 2), order).double().reciprocal() * (2 * math.pi)
    turned = so3.exp(direction.double() * angle[:, None])
    return torch.where((order == MIRROR)[:, None, None], -turned, turned)


def search(surface: SampledSurface, grid: DistanceGrid, tolerance: float, max_order: int, color: bool) -> Axes:
    """Refined axes, all that may pass and at least a few of the others; those of one order and place only once."""
    probes = surface.probes[:_TRIED]
    principal = torch.linalg.eigh(torch.cov(surface.points.mT))[1].mT
    parts = [_scored(grid, principal, p, probes) for p in primes(max_order)]
    directions = half_sphere(_DIRECTIONS)
    near = (directions.float() @ directions.float().mT).abs().topk(9, dim=1).indices
    for order in (p for p in _SMALL if p <= max_order):
        for with_color in (False, True) if color else (False,):
            parts.append(_minima(_scored(grid, directions, order, probes[: _TRIED // 2], with_color), near))
    found = _joined(parts)
    found = _kept(grid, found, probes, _HOPELESS)
    found = refine(surface, found, probes[:_FEW], steps=4)
    found = _kept(grid, found, probes, _PROMISING + tolerance)
    found = refine(surface, found, probes, steps=3)
    if color:
        found = _polished_by_color(surface, grid, found)
    return _kept(grid, found, surface.probes[: 2 * _TRIED], torch.inf)


def refine(surface: SampledSurface, axes: Axes, probes: Int[Tensor, "p"], steps: int) -> Axes:
    """Turns and shifts each axis so that the turned surface lies on itself: iterated closest planes."""
    conjugator, center = refine_motions(surface, axes.motions[:, None], axes.center, probes, steps)
    direction = (conjugator @ axes.direction[..., None])[..., 0]
    return replace(axes, direction=direction, center=center)


def refine_motions(
    surface: SampledSurface,
    motion: Float[Tensor, "k m 3 3"],
    center: Float[Tensor, "k 3"],
    probes: Int[Tensor, "p"],
    steps: int,
) -> tuple[Float[Tensor, "k 3 3"], Float[Tensor, "k 3"]]:
    """K groups of M motions about one centre each, turned and shifted as a whole so that they fit the surface.

    With y = c + R (x − c), R = E R₀ Eᵀ and E = exp(δ): dy/dδ = −[R z]ₓ + R [z]ₓ for z = x − c, and dy/dc = I − R.

    Returns:
        The rotations E and the centres.
    """
    points = surface.points[probes]
    turned = torch.eye(3, dtype=torch.float64).expand(len(motion), 3, 3)
    for _ in range(steps):
        r = turned[:, None] @ motion @ turned[:, None].mT
        z = points - center[:, None]
        rz = torch.einsum("kmij,kpj->kmpi", r, z)
        moved = rz + center[:, None, None]
        foot, normal = (x.view(moved.shape) for x in surface.nearest_plane(moved.reshape(-1, 3)))
        error = ((moved - foot) * normal).sum(-1)
        rn = torch.einsum("kmij,kmpi->kmpj", r, normal)  # Rᵀ n
        # n · (δ × R z − R (δ × z)) = δ · (R z × n − z × Rᵀ n)
        by_turn = torch.cross(rz, normal, dim=-1) - torch.cross(z[:, None].expand_as(rn), rn, dim=-1)
        jacobian = torch.cat([by_turn, normal - rn], -1)
        gap = (moved - foot).norm(dim=-1)
        spread = gap.flatten(1).median(1).values.clamp_min(0.003)[:, None, None]
        weight = 1 / (1 + (gap / (3 * spread)).square())
        weighted = jacobian * weight[..., None]
        hessian = torch.einsum("kmpa,kmpb->kab", weighted, jacobian)
        gradient = torch.einsum("kmpa,kmp->ka", weighted, error)
        damping = 1e-3 * hessian.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None] + 1e-9
        step = -torch.linalg.solve(hessian + torch.diag_embed(damping.expand(-1, 6)), gradient)
        step = step * (0.1 / step.norm(dim=-1, keepdim=True).clamp_min(0.1))  # at most 6°, a tenth of the diameter
        turned = so3.exp(step[:, :3]) @ turned
        center = center + step[:, 3:]
    return turned, center


def half_sphere(count: int) -> Float[Tensor, "n 3"]:
    """Directions spread evenly over half a sphere (a Fibonacci lattice); opposite ones are the same line."""
    i = torch.arange(count, dtype=torch.float64)
    z = (i + 0.5) / count
    angle = i * (math.pi * (3 - math.sqrt(5)))
    radius = (1 - z * z).sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin(), z], -1)


def primes(greatest: int) -> list[int]:
    """All primes up to a number."""
    return [n for n in range(2, greatest + 1) if all(n % k for k in range(2, math.isqrt(n) + 1))]


def _scored(
    grid: DistanceGrid, directions: Float[Tensor, "k 3"], order: int, probes: Int[Tensor, "p"], color: bool = False
) -> Axes:
    orders = torch.full((len(directions),), order)
    center = torch.zeros_like(directions)
    return Axes(directions, center, orders, grid.score(motions(directions, orders), center, probes, color))


def _minima(axes: Axes, near: Int[Tensor, "k n"]) -> Axes:
    """The best of those that no neighbour betters."""
    lowest = (axes.score <= axes.score[near].amin(1)).nonzero()[:, 0]
    return axes.take(lowest[axes.score[lowest].argsort()[:_KEPT]])


def _polished_by_color(surface: SampledSurface, grid: DistanceGrid, axes: Axes) -> Axes:
    """Shape leaves an axis free to move on what is round; colour says where. A pattern search."""
    probes = surface.probes[: 2 * _TRIED]
    best = grid.score(axes.motions, axes.center, probes, color=True)
    moves = torch.cat([torch.eye(3, dtype=torch.float64), -torch.eye(3, dtype=torch.float64)])
    for size in (0.03, 0.015, 0.008, 0.004):
        for move in moves:
            other = (so3.exp(move * size) @ axes.direction[..., None])[..., 0]
            score = grid.score(motions(other, axes.order), axes.center, probes, color=True)
            better = score < best
            best = torch.where(better, score, best)
            axes = replace(axes, direction=torch.where(better[:, None], other, axes.direction))
    return axes


def _kept(grid: DistanceGrid, axes: Axes, probes: Int[Tensor, "p"], limit: float) -> Axes:
    """Scored anew, best first, each place once; those within the limit, and at least a few."""
    score = grid.score(axes.motions, axes.center, probes)
    size = torch.sin(math.pi / axes.order.clamp_min(2))  # a small turn is always near to nothing
    ordered = (score / size).argsort()
    few = torch.arange(len(ordered)) < _LEAST
    return _distinct(replace(axes, score=score).take(ordered[few | (score[ordered] < limit)]))


def _distinct(axes: Axes) -> Axes:
    """Without those that a better one of the same order lies within 2° of."""
    cosine = (axes.direction @ axes.direction.mT).abs()
    same = (cosine > math.cos(math.radians(2))) & (axes.order[:, None] == axes.order)
    kept: list[int] = []
    for i in range(len(axes)):
        if not bool(same[i, kept].any()):
            kept.append(i)
    return axes.take(torch.tensor(kept))


def _joined(parts: list[Axes]) -> Axes:
    fields = ("direction", "center", "order", "score")
    return Axes(*(torch.cat([getattr(part, name) for part in parts]) for name in fields))
