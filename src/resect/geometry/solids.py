"""Solids in closed form, as meshes: for tests, examples and demonstrations.

Each is centred on the origin, watertight, counter-clockwise seen from outside and without colour; what is round is
round about z.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.mesh import Mesh
from resect.geometry.mesh_topology import distinct_rows


def box(size: Sequence[float | int] = (1.0, 1.0, 1.0), *, dtype: torch.dtype = torch.float32) -> Mesh:
    """A box with these sides along x, y and z: 8 vertices, 12 faces."""
    _positive("box: size", *size)
    corners = torch.cartesian_prod(*[torch.tensor([-0.5, 0.5], dtype=torch.float64)] * 3)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return _mesh(corners * torch.tensor(size, dtype=torch.float64), torch.tensor(faces), dtype, "box")


def cube(side: float = 1.0, *, dtype: torch.dtype = torch.float32) -> Mesh:
    """A box with equal sides."""
    return box((side, side, side), dtype=dtype)


def tetrahedron(radius: float = 0.5, *, dtype: torch.dtype = torch.float32) -> Mesh:
    """A regular tetrahedron whose corners are `radius` away from the origin."""
    _positive("tetrahedron: radius", radius)
    corners = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    return _mesh(corners * (radius / math.sqrt(3)), faces, dtype, "tetrahedron")


def icosphere(radius: float = 0.5, level: int = 3, *, dtype: torch.dtype = torch.float32) -> Mesh:
    """A sphere: an icosahedron, each face cut into four `level` times; 20 · 4^level faces, vertices on the sphere."""
    _positive("icosphere: radius", radius)
    if not 0 <= level <= 8:
        raise ResectError("icosphere: level", "0 to 8", str(level))
    vertices, faces = _icosahedron()
    for _ in range(level):
        vertices, faces = _quartered(vertices, faces)
        vertices = torch.nn.functional.normalize(vertices, dim=-1)
    return _mesh(vertices * radius, faces, dtype, "icosphere")


def cylinder(
    radius: float = 0.5, height: float = 1.0, segments: int = 64, *, dtype: torch.dtype = torch.float32
) -> Mesh:
    """A closed cylinder, that is a prism over a regular polygon of `segments` sides."""
    _positive("cylinder: radius, height", radius, height)
    end = height / 2
    return revolve([(0, -end), (radius, -end), (radius, end), (0, end)], segments, dtype=dtype, name="cylinder")


def cone(radius: float = 0.5, height: float = 1.0, segments: int = 64, *, dtype: torch.dtype = torch.float32) -> Mesh:
    """A closed cone with its tip up: base at z = −height / 2, tip at height / 2."""
    _positive("cone: radius, height", radius, height)
    return revolve([(0, -height / 2), (radius, -height / 2), (0, height / 2)], segments, dtype=dtype, name="cone")


def torus(
    radius: float = 0.35,
    tube: float = 0.15,
    segments: int = 64,
    tube_segments: int = 32,
    *,
    dtype: torch.dtype = torch.float32,
) -> Mesh:
    """A ring: a circle of radius `tube`, its centre `radius` away from the axis."""
    _positive("torus: tube, radius - tube", tube, radius - tube)
    turns = [2 * math.pi * i / tube_segments for i in range(tube_segments)]
    circle = [(radius + tube * math.cos(a), tube * math.sin(a)) for a in turns]
    return revolve(circle, segments, closed=True, dtype=dtype, name="torus")


def revolve(
    profile: Sequence[tuple[float | int, float | int]],
    segments: int = 64,
    *,
    closed: bool = False,
    dtype: torch.dtype = torch.float32,
    name: str = "revolved",
) -> Mesh:
    """The surface that a line in the (radius, z) half-plane sweeps around the z axis.

    Args:
        profile: points (radius, z) with the solid on their left: from the lower end to the upper one along the outside.
        segments: steps around the axis.
        closed: the last point is joined to the first; otherwise a line that starts and ends at radius 0 gives a
            watertight surface, and any other one an open one.
        dtype: of the vertices; they are computed in float64.
        name: of the mesh.
    """
    if segments < 3 or len(profile) < 2:
        raise ResectError("revolve", "3 segments and 2 points or more", f"{segments} and {len(profile)}")
    line = torch.tensor(profile, dtype=torch.float64)
    if bool((line[:, 0] < 0).any()):
        raise ResectError("revolve: profile", "radii of 0 or more", f"{float(line[:, 0].min()):g}")
    count = torch.where(line[:, 0] > 0, segments, 1)  # a point on the axis is one vertex
    first = count.cumsum(0) - count
    ring = torch.arange(len(line)).repeat_interleave(count)
    angle = (torch.arange(int(count.sum())) - first[ring]).double() * (2 * math.pi / segments)
    radius, z = line[ring].unbind(-1)
    vertices = torch.stack([radius * angle.cos(), radius * angle.sin(), z], -1)

    low = torch.arange(len(line) if closed else len(line) - 1)[:, None]
    high = (low + 1) % len(line)
    j = torch.arange(segments)
    a, b = first[low] + j % count[low], first[low] + (j + 1) % count[low]
    c, d = first[high] + (j + 1) % count[high], first[high] + j % count[high]
    faces = torch.cat([torch.stack([a, b, c], -1)[a != b], torch.stack([a, c, d], -1)[c != d]])
    return _mesh(vertices, faces, dtype, name)


def _mesh(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"], dtype: torch.dtype, name: str) -> Mesh:
    return Mesh(vertices.to(dtype), faces, name=name)


def _positive(where: str, *lengths: float | int) -> None:
    if not all(math.isfinite(x) and x > 0 for x in lengths):
        raise ResectError(where, "positive lengths", ", ".join(f"{x:g}" for x in lengths))


def _icosahedron() -> tuple[Float[Tensor, "12 3"], Int[Tensor, "20 3"]]:
    g = (1 + math.sqrt(5)) / 2
    corners: list[tuple[float, ...]] = [(-1, g, 0), (1, g, 0), (-1, -g, 0), (1, -g, 0), (0, -1, g), (0, 1, g)]
    corners += [(0, -1, -g), (0, 1, -g), (g, 0, -1), (g, 0, 1), (-g, 0, -1), (-g, 0, 1)]
    faces = [(0, 11, 5), (0, 5, 1), (0, 1, 7), (0, 7, 10), (0, 10, 11), (1, 5, 9), (5, 11, 4), (11, 10, 2)]
    faces += [(10, 7, 6), (7, 1, 8), (3, 9, 4), (3, 4, 2), (3, 2, 6), (3, 6, 8), (3, 8, 9), (4, 9, 5)]
    faces += [(2, 4, 11), (6, 2, 10), (8, 6, 7), (9, 8, 1)]
    vertices = torch.tensor(corners, dtype=torch.float64)
    return torch.nn.functional.normalize(vertices, dim=-1), torch.tensor(faces)


def _quartered(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]
) -> tuple[Float[Tensor, "w 3"], Int[Tensor, "g 3"]]:
    """Each face cut at the middles of its edges; faces that share an edge share the new vertex."""
    sides = torch.stack([faces, faces.roll(-1, 1)], -1).sort(-1).values
    pairs, which = distinct_rows(sides.flatten(0, 1))
    ab, bc, ca = (which.view(-1, 3) + len(vertices)).unbind(1)
    a, b, c = faces.unbind(1)
    parts = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
    middles = vertices[pairs].mean(1)
    return torch.cat([vertices, middles]), torch.cat([torch.stack(p, 1) for p in parts])
