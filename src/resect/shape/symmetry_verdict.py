"""From axes that may be symmetries to a group that is one: orders, exact angles, a common fit, each motion measured."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.rotation_group import POLYHEDRA, closure, largest_subgroup, name_of, product_table, turn
from resect.shape.sampled_surface import SampledSurface
from resect.shape.symmetry_search import MIRROR, Axes, DistanceGrid, refine_motions

QUANTILE = 0.999
"""Share of the surface that must lie within the tolerance."""
COLOR_QUANTILE = 0.95
"""Share of the surface whose colour must agree."""
_QUERIES = 40_000  # of all motions of a group together
_QUICK = 512
_SLACK = 1.5  # of the tolerance, before the common fit
_GOLDEN = math.pi * (3 - math.sqrt(5))  # no two multiples of it are near each other, and none is a fraction of a turn
_MANY = 24


@dataclass(frozen=True, eq=False)
class Judge:
    """Measures motions.

    Attributes:
        surface: that is moved.
        grid: its distances, roughly.
        tolerance: diameters.
        color_tolerance: of RGB in [0, 1]; `None` if colour does not count.
    """

    surface: SampledSurface
    grid: DistanceGrid
    tolerance: float
    color_tolerance: float | None

    def roughly(self, motion: Float[Tensor, "k 3 3"], center: Float[Tensor, "k 3"]) -> Float[Tensor, "k"]:
        """About how far each motion is off; above 1 is hopeless: the grid errs by its cells."""
        off = self.grid.farthest(motion, center, self.surface.probes[: _QUICK // 2])
        return off / (self.tolerance + 4 * self.grid.half / len(self.grid.distance))

    def residuals(
        self, motion: Float[Tensor, "k 3 3"], center: Float[Tensor, "3"], count: int, limit: float | None = None
    ) -> tuple[Float[Tensor, "k"], Float[Tensor, "k"]]:
        """Quantiles of distance and of colour difference over `count` moved probes; colour is NaN if it does not count.

        With a limit, distances are only on the right side of it.
        One way only: the inverse of a motion measures the other way, and a group holds both.
        """
        probes = self.surface.probes[:count]
        points = self.surface.points[probes]
        shape, color = [], []
        for r in motion:
            moved = (points - center) @ r.mT + center
            shape.append(self.surface.distance_quantile(moved, QUANTILE, limit))
            wanted = self.color_tolerance is not None and self.surface.colors is not None
            if wanted and shape[-1] <= _SLACK * self.tolerance:
                difference = self.surface.color_difference(moved, self.surface.colors[probes])  # type: ignore[index]
                color.append(_quantile(difference, COLOR_QUANTILE))
            else:
                color.append(math.nan)
        return torch.tensor(shape, dtype=torch.float64), torch.tensor(color, dtype=torch.float64)

    def passed(self, shape: Float[Tensor, "k"], color: Float[Tensor, "k"], slack: float = 1.0) -> Bool[Tensor, "k"]:
        """Which motions are symmetries."""
        good = shape <= slack * self.tolerance
        if self.color_tolerance is None:
            return good
        return good & ~(color > slack * self.color_tolerance)

    def all_pass(self, motion: Float[Tensor, "k 3 3"], center: Float[Tensor, "3"], slack: float = _SLACK) -> bool:
        """Whether all do, at a few probes; stops at the first that does not."""
        limit = slack * self.tolerance
        return all(bool(self.passed(*self.residuals(r[None], center, _QUICK, limit), slack)) for r in motion)


@dataclass(frozen=True, eq=False)
class Line:
    """An axis with the greatest order that it has."""

    direction: Float[Tensor, "3"]
    center: Float[Tensor, "3"]
    order: int


@dataclass(frozen=True, eq=False)
class Found:
    """A group of rotations about one centre, in diameters about the surface's centroid.

    Attributes:
        discrete: the rotations, identity first.
        axes: unit vectors of continuous ones; two are a sphere.
        center: of all.
        shape: residual of each motion that was measured, diameters.
        color: of each; NaN if colour does not count.
    """

    discrete: Float[Tensor, "n 3 3"]
    axes: Float[Tensor, "a 3"]
    center: Float[Tensor, "3"]
    shape: Float[Tensor, "m"]
    color: Float[Tensor, "m"]

    @property
    def name(self) -> str:
        """Schoenflies symbol; "K" for a sphere."""
        if len(self.axes) == 0:
            return name_of(self.discrete)
        return "K" if len(self.axes) > 1 else "D∞" if len(self.discrete) > 1 else "C∞"


def decide(judge: Judge, axes: Axes, max_order: int, generator: torch.Generator) -> Found:
    """The largest group whose every motion passes, of those that the axes suggest."""
    axes = axes.take((axes.order != MIRROR).nonzero()[:, 0])
    endless = _endless(judge, axes)
    found = _sphere(judge, endless, generator) or _revolution(judge, endless)
    if found is not None:
        return found
    best = _nothing()
    for group, center in _suggestions(_lines(judge, axes, max_order), max_order):
        best = _fitted(judge, group, center, len(best.discrete)) or best
    return best


def _endless(judge: Judge, axes: Axes) -> Axes:
    """At most two that any turn about may pass, most likely first."""
    turns = torch.stack([_turns(direction, _MANY) for direction in axes.direction])
    center = axes.center.repeat_interleave(_MANY, 0)
    score = judge.roughly(turns.flatten(0, 1), center).view(-1, _MANY).amax(1)
    found: list[int] = []
    for i in score.argsort()[: int((score <= 1).sum())].tolist():
        if _is_new(axes.direction[i], axes.direction[found]) and judge.all_pass(turns[i], axes.center[i]):
            found.append(i)
            if len(found) == 2:
                break
    return axes.take(torch.tensor(found, dtype=torch.long))


def _is_new(direction: Float[Tensor, "3"], others: Float[Tensor, "k 3"]) -> bool:
    return not bool(((others @ direction).abs() > math.cos(math.radians(2))).any())


def _lines(judge: Judge, axes: Axes, max_order: int) -> list[Line]:
    """Axes that pass on their own, each direction once, with their orders."""
    found: list[Line] = []
    for direction, center, number in zip(axes.direction, axes.center, axes.order.tolist(), strict=True):
        if found and not _is_new(direction, torch.stack([line.direction for line in found])):
            continue
        powers = torch.arange(number // 2, 0, -1)  # the greatest turn first: a small one passes anywhere
        if judge.all_pass(so3.exp(direction * (powers * (2 * math.pi / number))[:, None]), center):
            found.append(Line(direction, center, _order(judge, direction, center, number, max_order)))
    return found


def _order(judge: Judge, axis: Float[Tensor, "3"], center: Float[Tensor, "3"], known: int, most: int) -> int:
    """The greatest n for which every multiple of a full turn / n passes."""
    orders = range(most - most % known, known, -known)
    fractions = sorted({k / n for n in orders for k in range(1, n // 2 + 1)})
    if not fractions:
        return known
    turned = so3.exp(axis * (2 * math.pi * torch.tensor(fractions, dtype=torch.float64))[:, None])
    rough = dict(zip(fractions, judge.roughly(turned, center.expand(len(turned), 3)).tolist(), strict=True))
    at = {fraction: i for i, fraction in enumerate(fractions)}
    for n in orders:
        worst = sorted((k / n for k in range(1, n // 2 + 1)), key=lambda f: -rough[f])
        # with slack, a neighbour of the true order may pass first
        if rough[worst[0]] <= 1 and judge.all_pass(turned[[at[f] for f in worst]], center, 1.0):
            return n
    return known


def _suggestions(lines: list[Line], max_order: int) -> Iterator[tuple[Float[Tensor, "n 3 3"], Float[Tensor, "3"]]]:
    """Exact groups near what was found, larger kinds first: I, O, T, then Dn and Cn by order."""
    limit = 2 * max_order + 60
    for _, order, angle in POLYHEDRA:
        fitting = [line for line in lines if line.order % order == 0]
        pair = _pair(fitting, fitting, angle)
        if pair is not None:
            yield from _closed([turn(pair[0], order), turn(pair[1], order)], fitting[0].center, limit)
    for line in sorted(lines, key=lambda x: -x.order):
        across = [x for x in lines if x is not line and x.order % 2 == 0]
        pair = _pair([line], across, math.pi / 2)
        if pair is not None:
            yield from _closed([turn(pair[0], line.order), turn(pair[1], 2)], line.center, limit)
        yield from _closed([turn(line.direction, line.order)], line.center, limit)


def _closed(
    generators: list[Float[Tensor, "3 3"]], center: Float[Tensor, "3"], limit: int
) -> Iterator[tuple[Float[Tensor, "n 3 3"], Float[Tensor, "3"]]]:
    group = closure(generators, limit)
    if group is not None:
        yield group, center


def _pair(first: list[Line], second: list[Line], angle: float) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]] | None:
    """Directions of two lines at about this angle, the second turned so that it is exact."""
    for one in first:
        for other in second:
            u, v = one.direction, other.direction
            v = torch.where(u @ v < 0, -v, v)
            if one is not other and abs(math.acos(min(1.0, float(u @ v))) - angle) < math.radians(4):
                across = torch.nn.functional.normalize(v - (u @ v) * u, dim=0)
                return u, math.cos(angle) * u + math.sin(angle) * across
    return None


def _fitted(judge: Judge, group: Float[Tensor, "n 3 3"], center: Float[Tensor, "3"], least: int) -> Found | None:
    """The group turned and shifted as a whole to fit; or the largest part of it that passes, fitted again.

    `None` if no part with more than `least` motions passes.
    """
    n = len(group)
    if n <= least:
        return None
    eye = torch.eye(3, dtype=torch.float64)[None]
    limit = _SLACK * judge.tolerance
    passed = judge.passed(*judge.residuals(group[1:], center, _QUICK // 2, limit), _SLACK)
    if bool(passed.all()):
        turned, center = _together(judge.surface, group[1:], center)
        count = max(1024, min(2048, _QUERIES // n))
        passed = judge.passed(*judge.residuals(turned, center, count, judge.tolerance))
        group = torch.cat([eye, turned])
        if bool(passed.all()):
            shape, color = judge.residuals(turned, center, count)
            return Found(group, torch.zeros(0, 3, dtype=torch.float64), center, shape, color)
    part = largest_subgroup(product_table(group), torch.cat([torch.tensor([True]), passed]))
    return _fitted(judge, group[part], center, least)


def _together(
    surface: SampledSurface, motion: Float[Tensor, "n 3 3"], center: Float[Tensor, "3"]
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "3"]]:
    some = motion[torch.linspace(0, len(motion) - 1, min(len(motion), _MANY)).long()]
    conjugator, moved = refine_motions(surface, some[None], center[None], surface.probes[: _QUICK // 2], steps=4)
    return conjugator[0] @ motion @ conjugator[0].mT, moved[0]


def _sphere(judge: Judge, endless: Axes, generator: torch.Generator) -> Found | None:
    if len(endless) < 2:
        return None
    some = so3.random(_MANY, generator=generator, dtype=torch.float64)
    some, center = _together(judge.surface, some, endless.center[0])
    shape, color = judge.residuals(some, center, 1024)
    if not bool(judge.passed(shape, color).all()):
        return None
    eye = torch.eye(3, dtype=torch.float64)
    return Found(eye[None], eye[[2, 0]], center, shape, color)


def _revolution(judge: Judge, endless: Axes) -> Found | None:
    """A solid of revolution, with flips where they pass; about the first axis that holds."""
    for axis, center in zip(endless.direction, endless.center, strict=True):
        found = _turned(judge, axis, center, with_flips=True) or _turned(judge, axis, center, with_flips=False)
        if found is not None:
            return found
    return None


def _turned(judge: Judge, axis: Float[Tensor, "3"], center: Float[Tensor, "3"], with_flips: bool) -> Found | None:
    motion = _turns(axis, _MANY)
    if with_flips:
        flips = motion @ turn(_across(axis), 2)
        if not judge.all_pass(flips[:1], center):
            return None
        motion = torch.cat([motion, flips])
    motion, center = _together(judge.surface, motion, center)
    if not judge.all_pass(motion, center):
        return None
    shape, color = judge.residuals(motion, center, 1024)
    if not bool(judge.passed(shape, color).all()):
        return None
    fitted = torch.nn.functional.normalize(so3.log(motion[0]), dim=0)
    fitted = torch.where(fitted @ axis < 0, -fitted, fitted)
    discrete = torch.cat([torch.eye(3, dtype=torch.float64)[None], motion[_MANY : _MANY + 1]])
    return Found(discrete, fitted[None], center, shape, color)


def _across(axis: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """A unit vector at right angles; all are alike for a solid of revolution."""
    other = torch.eye(3, dtype=axis.dtype)[axis.abs().argmin()]
    return torch.nn.functional.normalize(torch.linalg.cross(axis, other), dim=0)


def _nothing() -> Found:
    none = torch.zeros(0, dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    return Found(eye[None], torch.zeros(0, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), none, none)


def _turns(axis: Float[Tensor, "3"], count: int) -> Float[Tensor, "n 3 3"]:
    """Turns by angles of which none is a fraction of a full turn."""
    angle = (torch.arange(1, count + 1, dtype=torch.float64) * _GOLDEN) % (2 * math.pi)
    return so3.exp(axis * angle[:, None])


def _quantile(values: Float[Tensor, "n"], share: float) -> float:
    return float(values.kthvalue(min(len(values), math.ceil(share * len(values)))).values)
