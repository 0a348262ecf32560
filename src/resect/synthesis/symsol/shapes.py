"""The eight shapes: where their surfaces lie, how they are symmetric, and where their markers are."""

import functools
import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import unknown_name
from resect.geometry import so3
from resect.geometry.rotation_group import closure, turn
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Axis, Symmetries

Kind = Literal["polyhedron", "cone", "cylinder", "sphere"]
PLAIN = ("tet", "cube", "ico", "cone", "cyl")
"""Set I."""
MARKED = ("tetX", "cylO", "sphereX")
"""Set II."""
RADIUS = 0.5  # of the bounding sphere
TURNS = 360  # that stand for a continuous symmetry
CYLINDER = RADIUS / math.sqrt(2)  # radius and half height
CONE_TIP, CONE_BASE, CONE_RADIUS = RADIUS, -1.05 / 1.45 * RADIUS, RADIUS / 1.45
DOT_RADIUS, DOT_OFFSET = 0.12 * CYLINDER, 0.6 * CYLINDER
CROSS_WIDTH, CROSS_LENGTH, CROSS_DOT = 0.06, 0.5, 0.12  # radians


@dataclass(frozen=True)
class Round:
    """A body about z: x² + y² + squash (z − tip)² ≤ radius2 between two heights, closed by flat caps.

    Attributes:
        squash: 1 for a sphere, 0 for a cylinder, −slope² for a cone.
        tip: height where the quadric has its centre.
        radius2: see above.
        low: least height of the curved part.
        high: greatest.
        caps: height and radius of each.
    """

    squash: float
    tip: float
    radius2: float
    low: float
    high: float
    caps: tuple[tuple[float, float], ...]


_SLOPE = CONE_RADIUS / (CONE_TIP - CONE_BASE)
ROUND: dict[Kind, Round] = {
    "sphere": Round(1.0, 0.0, RADIUS**2, -RADIUS, RADIUS, ()),
    "cylinder": Round(0.0, 0.0, CYLINDER**2, -CYLINDER, CYLINDER, ((-CYLINDER, CYLINDER), (CYLINDER, CYLINDER))),
    "cone": Round(-(_SLOPE**2), CONE_TIP, 0.0, CONE_BASE, CONE_TIP, ((CONE_BASE, CONE_RADIUS),)),
}


@dataclass(frozen=True, eq=False)
class Shape:
    """One of the eight.

    Attributes:
        name: its name.
        kind: what it is bounded by.
        normals: outward unit normals of a polyhedron's faces, all `inradius` away from the origin.
        inradius: see there.
        group: rotations that change nothing if there were no marker; `None` for the sphere: all.
        marker: samples of the marker's surface: place, normal, area; none for set I.
    """

    name: str
    kind: Kind
    normals: Float[Tensor, "f 3"]
    inradius: float
    group: Float[Tensor, "s 3 3"] | None
    marker: tuple[Float[Tensor, "m 3"], Float[Tensor, "m 3"], Float[Tensor, "m"]] | None = None


@functools.cache
def shape(name: str) -> Shape:
    """A shape by its name."""
    makers = {"tet": _tetrahedron, "cube": _cube, "ico": _icosahedron, "tetX": _tetrahedron}
    none = torch.zeros(0, 3, dtype=torch.float64)
    if name in makers:
        corners, group = makers[name]()
        normals, inradius = _faces(corners)
        found = Shape(name, "polyhedron", normals, inradius, group)
        return (
            Shape(name, "polyhedron", normals, inradius, group, _face_marker(found, corners))
            if name == "tetX"
            else found
        )
    if name == "cone":
        return Shape(name, "cone", none, 0.0, _turns())
    if name in ("cyl", "cylO"):
        both = torch.cat([_turns(), so3.exp(torch.tensor([math.pi, 0.0, 0.0]).double()) @ _turns()])
        return Shape(name, "cylinder", none, 0.0, both, _dot_marker() if name == "cylO" else None)
    if name == "sphereX":
        return Shape(name, "sphere", none, 0.0, None, _cross_marker())
    raise unknown_name("shape", name, PLAIN + MARKED)


def symmetries(name: str) -> Symmetries:
    """Of a shape of set I, for poses: continuous ones as axes."""
    found = shape(name)
    axis = (Axis(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)),)
    if found.kind == "cone":
        return Symmetries(axes=axis)
    assert found.group is not None, "a sphere has no finite list"
    group = found.group[::TURNS] if found.kind == "cylinder" else found.group
    zero = torch.zeros(len(group), 3, dtype=torch.float64)
    return Symmetries(SE3(group, zero), axis if found.kind == "cylinder" else ())


def red_turns() -> Float[Tensor, "3 3 3"]:
    """The turns about the axis of `tetX`'s red face."""
    found = closure([turn(shape("tetX").normals[0], 3)])
    assert found is not None
    return found


def _tetrahedron() -> tuple[Float[Tensor, "4 3"], Float[Tensor, "12 3 3"]]:
    corners = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64) / math.sqrt(3)
    corners = corners @ so3.exp(torch.tensor([0.0, 0.0, math.pi / 4], dtype=torch.float64)).mT
    return corners * RADIUS, _closed(turn(corners[0], 3), turn(corners[1], 3))


def _cube() -> tuple[Float[Tensor, "8 3"], Float[Tensor, "24 3 3"]]:
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3) / math.sqrt(3)
    x, y = torch.eye(3, dtype=torch.float64)[:2]
    return corners * RADIUS, _closed(turn(x, 4), turn(y, 4))


def _icosahedron() -> tuple[Float[Tensor, "12 3"], Float[Tensor, "60 3 3"]]:
    golden = (1 + math.sqrt(5)) / 2
    flat = torch.tensor([[a, b * golden, 0] for a in (-1, 1) for b in (-1, 1)], dtype=torch.float64)
    corners = torch.cat([flat, flat.roll(1, 1), flat.roll(2, 1)]) / math.sqrt(1 + golden**2)
    near = int((corners[1:] @ corners[0]).argmax()) + 1
    return corners * RADIUS, _closed(turn(corners[0], 5), turn(corners[near], 5))


def _closed(a: Float[Tensor, "3 3"], b: Float[Tensor, "3 3"]) -> Float[Tensor, "s 3 3"]:
    found = closure([a, b])
    assert found is not None
    return found


def _turns() -> Float[Tensor, "t 3 3"]:
    angle = torch.arange(TURNS, dtype=torch.float64) * (2 * math.pi / TURNS)
    return so3.exp(angle[:, None] * torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))


def _faces(corners: Float[Tensor, "v 3"]) -> tuple[Float[Tensor, "f 3"], float]:
    """Outward normals, the one opposite the first corner first, and their common distance from the origin."""
    count = {4: 4, 8: 6, 12: 20}[len(corners)]
    triples = torch.combinations(torch.arange(len(corners)), 3)
    a, b, c = corners[triples].unbind(1)
    normals = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)
    offset = (normals * a).sum(-1)
    normals, offset = normals * offset.sign()[:, None], offset.abs()
    bounding = (normals @ corners.mT <= offset[:, None] + 1e-9).all(-1) & (offset > 1e-9)
    normals, offset = normals[bounding], offset[bounding]
    first = torch.ones(len(normals), dtype=torch.bool)
    first[1:] = (normals[1:, None] * normals[None]).sum(-1).gt(1 - 1e-9).long().argmax(-1) == torch.arange(
        1, len(normals)
    )
    normals = normals[first]
    assert len(normals) == count
    return normals[(normals @ corners[0]).argsort(stable=True)], float(offset[0])


def _face_marker(found: Shape, corners: Float[Tensor, "4 3"]) -> tuple[Tensor, Tensor, Tensor]:
    """Samples of the red face: the middles of 400 equal triangles' corner averages (a barycentric lattice)."""
    n = 20
    i, j = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    up = torch.stack([i + 1 / 3, j + 1 / 3], -1)[i + j < n]
    down = torch.stack([i + 2 / 3, j + 2 / 3], -1)[i + j < n - 1]
    weight = torch.cat([up, down]).double() / n
    a, b, c = corners[1:]
    place = a + weight[:, :1] * (b - a) + weight[:, 1:] * (c - a)
    area = torch.linalg.cross(b - a, c - a).norm() / 2 / len(place)
    return place, found.normals[:1].expand(place.shape), area.expand(len(place))


def _dot_marker() -> tuple[Tensor, Tensor, Tensor]:
    """Samples of the disc on the cap: rings of equal area."""
    radius, angle = _disc(16, 24)
    x, y = DOT_OFFSET + DOT_RADIUS * radius * angle.cos(), DOT_RADIUS * radius * angle.sin()
    place = torch.stack([x, y, torch.full_like(x, CYLINDER)], -1)
    normal = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(place.shape)
    return place, normal, torch.full_like(x, math.pi * DOT_RADIUS**2 / len(x))


def _cross_marker() -> tuple[Tensor, Tensor, Tensor]:
    """Samples of the sphere's upper cap, those on the cross kept."""
    reach = CROSS_LENGTH + CROSS_DOT + 0.01
    radius, angle = _disc(60, 100)
    height = 1 - radius * radius * (1 - math.cos(reach))  # equal areas
    across = (1 - height * height).sqrt()
    normal = torch.stack([across * angle.cos(), across * angle.sin(), height], -1)
    area = 2 * math.pi * RADIUS**2 * (1 - math.cos(reach)) / len(normal)
    normal = normal[on_cross(normal)]
    return normal * RADIUS, normal, torch.full((len(normal),), area, dtype=torch.float64)


def on_cross(normal: Float[Tensor, "*b 3"]) -> Tensor:
    """Whether directions lie on the cross or its disc."""
    x, y, z = normal.unbind(-1)
    along = torch.hypot(x, z).clamp_min(1e-12)
    strip_x = (y.abs() < math.sin(CROSS_WIDTH)) & (z / along > math.cos(CROSS_LENGTH)) & (z > 0)
    along = torch.hypot(y, z).clamp_min(1e-12)
    strip_y = (x.abs() < math.sin(CROSS_WIDTH)) & (z / along > math.cos(CROSS_LENGTH)) & (z > 0)
    disc = x * math.sin(CROSS_LENGTH) + z * math.cos(CROSS_LENGTH) > math.cos(CROSS_DOT)
    return strip_x | strip_y | disc


def _disc(rings: int, steps: int) -> tuple[Tensor, Tensor]:
    """Radius (of 1) and angle of points that stand for equal areas of a disc."""
    ring, step = torch.meshgrid(torch.arange(rings), torch.arange(steps), indexing="ij")
    angle = (step.double() + 0.5 * (ring % 2)) * (2 * math.pi / steps)
    return ((ring.double() + 0.5) / rings).sqrt().flatten(), angle.flatten()
