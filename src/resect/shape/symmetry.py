"""The symmetries of a mesh: which rotations about which lines leave its surface, and its colours, where they were.

A motion passes when 99.9 % of the surface, by area, comes to lie within a tolerance of it, stated in diameters, and the
colours of 95 % of it differ by no more than another one. Both are measured for every motion of the group that
is returned, and the group is exact: closed, with exact angles, about axes through one centre.

The tolerance is the coarsest detail that may be overlooked. At 1 % of the diameter a prism over a regular polygon of
16 or more sides is a cylinder, and so are the tessellated cylinders of CAD files; a handle is not overlooked. BOP's
published lists were made with 10 % (or 15 mm) and checked by hand (Hodaň et al., "BOP challenge 2020", §2.3): objects
that are alike "up to small details" need a greater tolerance here.

Only rotations are symmetries of a pose; planes of reflection are named in the notes.
"""

import math
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
MAX_ORDER = 64
_SHOWN = 24
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
    colored = use_color and surface.colors is not None
    grid = DistanceGrid.of(surface)
    axes = search(surface, grid, tolerance, max_order, colored)
    by_shape = Judge(surface, grid, tolerance, None)
    shape = found = decide(by_shape, axes, max_order, generator)
    judge = by_shape
    if colored:
        judge = Judge(surface, grid, tolerance, color_tolerance)
        found = decide(judge, axes, max_order, generator)
    candidates = _evidence(judge, axes, found)
    return SymmetryReport(
        _in_mesh(found, surface),
        found.name,
        shape.name,
        float(found.shape.max()) if len(found.shape) else 0.0,
        float(found.color.max()) if colored and len(found.color) else None,
        tolerance,
        judge.color_tolerance,
        surface.diameter,
        candidates,
        _notes(found, shape, candidates, tolerance),
    )


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


def _notes(found: Found, shape: Found, candidates: tuple[Candidate, ...], tolerance: float) -> tuple[str, ...]:
    said = []
    if found.name != shape.name:
        said.append(f"The shape alone has {shape.name}; colour leaves {found.name}.")
    mirrors = sum(c.name == "mirror" for c in candidates)
    if mirrors:
        said.append("It also equals its mirror image; a reflection is no motion of a rigid object and is left out.")
    near = [c for c in candidates if not c.accepted and c.name != "mirror" and tolerance < c.residual < 3 * tolerance]
    if near:
        said.append(f"{near[0].name} would pass at a tolerance of {near[0].residual:.3g}.")
    return tuple(said)
