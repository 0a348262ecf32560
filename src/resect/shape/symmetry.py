"""The symmetries of a mesh: which rotations about which lines leave its surface, and its colours, where they were.

A motion passes when 99.9 % of the surface, by area, comes to lie within a tolerance of it, stated in diameters, and the
colours of 95 % of it differ by no more than another one. Both are measured for every motion of the group that
is returned, and the group is exact: closed, with exact angles, about axes through one centre.

The tolerance is the coarsest detail that may be overlooked. At 1 % of the diameter a prism over a regular polygon of
16 or more sides is a cylinder, and so are the tessellated cylinders of CAD files; a handle is not overlooked, and a
cube with one side 5 % longer is no cube. Scans and objects that are alike "up to small details" deviate by more, so the
groups at two greater tolerances are told too (`LEVELS`): 5 %, the strictest threshold of BOP's MSSD, and 10 %, at which
BOP's lists were searched before they were pruned by hand (Hodaň et al., "BOP Challenge 2020 on 6D object localization",
§2.3: Hausdorff distance below max(15 mm, 0.1 diameter)). `docs/decisions/symmetries.md` says why.

Only rotations are symmetries of a pose; planes of reflection are named in the notes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Axis, Symmetries, about
from resect.shape.sampled_surface import SampledSurface
from resect.shape.symmetry_search import MIRROR, Axes, DistanceGrid, search
from resect.shape.symmetry_verdict import Found, Judge, decide

TOLERANCE = 0.01
COLOR_TOLERANCE = 0.1
LEVELS = (0.05, 0.1)
"""Greater tolerances, in diameters, at which groups are told too."""
MAX_ORDER = 64
_SHOWN = 16
_FITTED = 1.2  # a candidate off by so much more may pass once its group is fitted as a whole
_SEARCHED = LEVELS[-1] / 2  # root mean squares are compared with it, of which the quantile is at least the double
_MOST_SHOWN_ORDER = 5  # an axis of any order up to 64 has also one of 2, 3 or 5, or is a rare thing


@dataclass(frozen=True, eq=False)
class Candidate:
    """A motion that was measured.

    Attributes:
        name: "C2" for a half turn, "C3" for a third, "mirror" for a reflection.
        axis: the line it turns about; of a reflection, the normal of its plane.
        residual: 99.9 % of the surface comes to lie within this distance of it, in diameters.
        color_residual: 95 % of the surface differ by at most this, RGB in [0, 1]; `None` where not measured.
        accepted: whether it is among the symmetries.
    """

    name: str
    axis: Axis
    residual: float
    color_residual: float | None
    accepted: bool


@dataclass(frozen=True, eq=False)
class Level:
    """What more would be found at a greater tolerance.

    Attributes:
        tolerance: in diameters.
        group: see `SymmetryReport`.
        shape_group: of the shape alone.
        residual: the least tolerance at which `shape_group` is found, in diameters.
        symmetries: of `group`.
    """

    tolerance: float
    group: str
    shape_group: str
    residual: float
    symmetries: Symmetries


@dataclass(frozen=True, eq=False)
class SymmetryReport:
    """What was found, and why.

    Attributes:
        symmetries: in the mesh's frame and units.
        group: Schoenflies symbol: C1 (none), Cn, Dn, T, O, I, C∞ (an axis), D∞ (an axis and flips), K (a sphere).
        shape_group: of the shape alone.
        residual: the greatest of all motions of the group, in diameters; 0 without any.
        color_residual: the greatest, RGB in [0, 1]; `None` where colour does not count.
        tolerance: that was asked for, in diameters.
        color_tolerance: that was asked for; `None` where colour does not count or there is but one.
        diameter: in the mesh's units.
        candidates: accepted ones, then the rejected that came nearest.
        levels: other groups at greater tolerances, the least first.
        notes: what should be known.
    """

    symmetries: Symmetries
    group: str
    shape_group: str
    residual: float
    color_residual: float | None
    tolerance: float
    color_tolerance: float | None
    diameter: float
    candidates: tuple[Candidate, ...] = ()
    levels: tuple[Level, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)


def find_symmetries(
    mesh: Mesh,
    *,
    tolerance: float = TOLERANCE,
    color_tolerance: float = COLOR_TOLERANCE,
    use_color: bool = True,
    max_order: int = MAX_ORDER,
    generator: torch.Generator | None = None,
) -> SymmetryReport:
    """Finds all rotations that leave a mesh as it is.

    Args:
        mesh: any triangles with an area: unevenly cut, open, thin and noisy ones too.
        tolerance: how far the surface may be from where it was, in diameters.
        color_tolerance: how much colours may differ (root mean square over RGB in [0, 1]).
        use_color: whether vertex colours, textures and materials count.
        max_order: greatest n of a turn by a full turn / n.
        generator: of the samples of the surface; seed 0 if not given.

    Raises:
        ResectError: a mesh without area or with vertices that are not finite, or a number out of range.
    """
    _check(tolerance, color_tolerance, max_order)
    generator = generator or torch.Generator().manual_seed(0)
    surface = SampledSurface.of(mesh, generator)
    grid = DistanceGrid.of(surface)
    color_limit = color_tolerance if use_color and surface.colors is not None else None
    axes = search(surface, grid, max(tolerance, _SEARCHED), max_order, color_limit is not None)

    def groups(limit: float) -> tuple[Found, Found]:
        """Of the shape, and of shape and colour."""
        shape = decide(Judge(surface, grid, limit, None), axes, max_order, generator)
        if color_limit is None or shape.name == "C1":
            return shape, shape
        return shape, decide(Judge(surface, grid, limit, color_limit), axes, max_order, generator)

    shape, found = groups(tolerance)
    candidates = _evidence(Judge(surface, grid, tolerance, color_limit), axes, found)
    levels = _levels(groups, surface, (shape, found), tolerance, candidates)
    return SymmetryReport(
        _in_mesh(found, surface),
        found.name,
        shape.name,
        _greatest(found.shape),
        _greatest(found.color) if color_limit is not None else None,
        tolerance,
        color_limit,
        surface.diameter,
        candidates,
        levels,
        _notes(found, shape, candidates),
    )


def _levels(
    groups: Callable[[float], tuple[Found, Found]],
    surface: SampledSurface,
    known: tuple[Found, Found],
    at: float,
    candidates: Sequence[Candidate],
) -> tuple[Level, ...]:
    """Only a candidate that was rejected and comes within a tolerance can make a group larger than before."""
    told: list[Level] = []
    shape, found = known
    rejected = [c.residual for c in candidates if c.name != "mirror"]  # below `at` by colour, which no level forgives
    for tolerance in (t for t in LEVELS if t > at):
        if not any(at < residual <= _FITTED * tolerance for residual in rejected):
            continue
        before = (shape.name, found.name)
        shape, found = groups(tolerance)
        if (shape.name, found.name) != before:
            told.append(Level(tolerance, found.name, shape.name, _greatest(shape.shape), _in_mesh(found, surface)))
            at = tolerance
    return tuple(told)


def _greatest(values: Float[Tensor, "m"]) -> float:
    return float(values.max()) if len(values) else 0.0


def _check(tolerance: float, color_tolerance: float, max_order: int) -> None:
    if not 0 < tolerance <= 0.2:
        raise ResectError("tolerance", "a share of the diameter, above 0 and at most 0.2", f"{tolerance:g}")
    if not 0 < color_tolerance <= 1:
        raise ResectError("color tolerance", "a colour difference, above 0 and at most 1", f"{color_tolerance:g}")
    if not 2 <= max_order <= 360:
        raise ResectError("greatest order", "2 to 360", str(max_order))


def _in_mesh(found: Found, surface: SampledSurface) -> Symmetries:
    point = surface.center + surface.diameter * found.center
    discrete = about(point, found.discrete)
    discrete = SE3(discrete.R, torch.cat([torch.zeros_like(discrete.t[:1]), discrete.t[1:]]))
    return Symmetries(discrete, tuple(Axis(a, point) for a in found.axes))


def _evidence(judge: Judge, axes: Axes, found: Found) -> tuple[Candidate, ...]:
    """The best candidates, measured alike, whether accepted or not; every power of a turn counts."""
    some = axes.take((axes.order <= _MOST_SHOWN_ORDER).nonzero()[:_SHOWN, 0])
    made: list[Candidate] = []
    for direction, center, number in zip(some.direction, some.center, some.order, strict=True):
        order = int(number)
        powers = torch.arange(1, max(2, order // 2 + 1))
        turned = so3.exp(direction * (powers * (2 * math.pi / max(2, order)))[:, None])
        motion = -turned if order == MIRROR else turned  # of a half turn, the reflection along its axis
        shape, color = judge.residuals(motion, center, 1024)
        line = Axis(direction, judge.surface.center + judge.surface.diameter * center)
        colored = None if bool(color.isnan().any()) else float(color.max())
        accepted = order != MIRROR and _holds(found, direction, motion[0])
        if order != MIRROR or bool(judge.passed(shape, color).all()):
            made.append(Candidate(f"C{order}" if order else "mirror", line, float(shape.max()), colored, accepted))
    return tuple(sorted(made, key=lambda c: (not c.accepted, c.residual)))


def _holds(found: Found, direction: Float[Tensor, "3"], motion: Float[Tensor, "3 3"]) -> bool:
    near = math.radians(3)
    if len(found.axes) > 1:
        return True
    if len(found.axes) == 1:
        cosine = abs(float(found.axes[0] @ direction))
        across = (
            len(found.discrete) > 1
            and cosine < math.sin(near)
            and bool(torch.isclose(motion.trace(), -motion.new_ones(())))
        )
        return cosine > math.cos(near) or across
    return float(so3.angle(found.discrete, motion.expand_as(found.discrete)).min()) < near


def _notes(found: Found, shape: Found, candidates: tuple[Candidate, ...]) -> tuple[str, ...]:
    said = []
    if found.name != shape.name:
        said.append(f"The shape alone has {shape.name}; colour leaves {found.name}.")
    if any(c.name == "mirror" for c in candidates):
        said.append("It also equals its mirror image; a reflection is no motion of a rigid object and is left out.")
    return tuple(said)
