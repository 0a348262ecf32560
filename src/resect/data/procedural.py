"""A furnished room in closed form: rays meet boxes, balls and cylinders, and a smooth 3-D texture colours the points.

Nothing is sampled or learned, so colour, depth and their derivatives are exact: the oracle of the tests and the place
that the demo and the docs show. The generator is fixed as follows (version 1); change it only with its version.

- World: metres, z up, the room is [0, 4] × [0, 3] × [0, 2.5], seen from inside; its walls cannot be seen from outside.
- Furniture: upright boxes turned about z, balls, and upright cylinders, the tables `_BOXES`, `_BALLS`, `_CYLINDERS`.
- Texture: `_OCTAVES` octaves, the wavelength halving from `_LONGEST_M`, of `_WAVES` cosines each. A cosine's wave
  vector has a uniform direction and a length spread over the octave; directions, phases and the weights that mix the
  cosines into three fields (coarse, spots, fine) are drawn from one generator seeded with the room's seed. Each
  part of the room stretches the coordinates, and shows three colours mixed by sigmoids of the fields.
- Light: 0.86 + 0.14 n·l, darker towards the room's edges, and under and behind furniture by Gaussian shadows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

VERSION = 1
ROOM_M = (4.0, 3.0, 2.5)
_OCTAVES, _WAVES, _LONGEST_M = 6, 16, 1.6
_COARSE = (1.0, 0.9, 0.7, 0.35, 0.1, 0.0)  # weight of each octave in the three fields
_SPOTS = (0.2, 0.5, 0.9, 1.0, 0.6, 0.2)
_FINE = (0.0, 0.2, 0.4, 0.8, 1.0, 0.6)
_LIGHT = (0.35, -0.45, 0.82)

_Triple = tuple[float, float, float]
_Row = tuple[_Triple, _Triple, float, str]
# Middle, half sizes (cylinders: radius, radius, half height), turn about z in degrees, material.
_BOXES: tuple[_Row, ...] = (
    ((2.0, 1.5, 0.01), (1.15, 0.8, 0.01), 8.0, "rug"),
    ((2.0, 1.5, 0.725), (0.55, 0.35, 0.025), 12.0, "walnut"),
    ((1.54, 1.09, 0.35), (0.03, 0.03, 0.35), 12.0, "walnut"),
    ((2.59, 1.31, 0.35), (0.03, 0.03, 0.35), 12.0, "walnut"),
    ((1.41, 1.69, 0.35), (0.03, 0.03, 0.35), 12.0, "walnut"),
    ((2.46, 1.91, 0.35), (0.03, 0.03, 0.35), 12.0, "walnut"),
    ((1.72, 1.36, 0.85), (0.12, 0.09, 0.10), 35.0, "navy"),
    ((3.82, 1.10, 0.80), (0.18, 0.45, 0.80), 0.0, "oak"),
    ((0.25, 2.20, 0.40), (0.25, 0.55, 0.40), 0.0, "mustard"),
    ((1.30, 2.985, 1.45), (0.45, 0.015, 0.32), 0.0, "picture"),
    ((2.75, 2.985, 1.55), (0.28, 0.015, 0.38), 0.0, "sea"),
    ((0.015, 1.05, 1.50), (0.015, 0.40, 0.30), 0.0, "sea"),
    ((2.30, 0.015, 1.50), (0.60, 0.015, 0.35), 0.0, "picture"),
    ((3.35, 2.75, 0.25), (0.25, 0.25, 0.25), 20.0, "rust"),
)
_BALLS: tuple[_Row, ...] = (
    ((2.22, 1.62, 0.89), (0.14, 0.14, 0.14), 0.0, "teal"),
    ((0.75, 0.60, 0.25), (0.25, 0.25, 0.25), 0.0, "coral"),
    ((3.80, 0.90, 1.72), (0.12, 0.12, 0.12), 0.0, "mustard"),
)
_CYLINDERS: tuple[_Row, ...] = (
    ((1.98, 1.40, 0.89), (0.07, 0.07, 0.14), 0.0, "coral"),
    ((3.20, 0.45, 0.225), (0.20, 0.20, 0.225), 0.0, "teal"),
    ((0.22, 2.05, 0.94), (0.09, 0.09, 0.14), 0.0, "navy"),
)
_FACES = ("sage", "cream", "blush", "cream", "floor", "plaster")  # x = 0, x = 4, y = 0, y = 3, z = 0, z = 2.5
# Three colours, and how much finer the texture is along x, y, z.
_MATERIALS: dict[str, tuple[_Triple, _Triple, _Triple, _Triple]] = {
    "sage": ((0.70, 0.80, 0.68), (0.88, 0.92, 0.82), (0.36, 0.52, 0.44), (1.0, 1.0, 1.0)),
    "cream": ((0.98, 0.93, 0.82), (0.90, 0.79, 0.62), (0.62, 0.45, 0.36), (1.0, 1.0, 1.0)),
    "blush": ((0.93, 0.77, 0.70), (0.98, 0.91, 0.86), (0.66, 0.38, 0.36), (1.0, 1.0, 1.0)),
    "floor": ((0.74, 0.54, 0.35), (0.90, 0.73, 0.52), (0.44, 0.28, 0.17), (0.5, 1.6, 1.0)),
    "plaster": ((0.93, 0.93, 0.90), (0.78, 0.79, 0.80), (0.58, 0.60, 0.64), (0.8, 0.8, 0.8)),
    "rug": ((0.66, 0.20, 0.20), (0.90, 0.78, 0.60), (0.16, 0.20, 0.36), (1.3, 1.3, 1.3)),
    "walnut": ((0.55, 0.36, 0.24), (0.76, 0.55, 0.38), (0.28, 0.16, 0.10), (0.7, 2.0, 2.0)),
    "oak": ((0.80, 0.62, 0.40), (0.55, 0.38, 0.22), (0.92, 0.80, 0.60), (2.0, 2.0, 0.6)),
    "mustard": ((0.90, 0.68, 0.18), (0.97, 0.86, 0.52), (0.52, 0.32, 0.08), (1.3, 1.3, 1.3)),
    "navy": ((0.16, 0.24, 0.46), (0.42, 0.56, 0.78), (0.92, 0.88, 0.76), (1.6, 1.6, 1.6)),
    "teal": ((0.08, 0.46, 0.48), (0.50, 0.80, 0.76), (0.96, 0.90, 0.70), (1.6, 1.6, 1.6)),
    "coral": ((0.92, 0.44, 0.34), (0.98, 0.76, 0.62), (0.48, 0.14, 0.18), (1.6, 1.6, 1.6)),
    "rust": ((0.70, 0.34, 0.18), (0.92, 0.66, 0.40), (0.28, 0.14, 0.12), (1.3, 1.3, 1.3)),
    "picture": ((0.92, 0.90, 0.82), (0.88, 0.44, 0.22), (0.14, 0.26, 0.40), (1.2, 1.2, 1.2)),
    "sea": ((0.20, 0.42, 0.66), (0.72, 0.86, 0.92), (0.95, 0.74, 0.36), (0.7, 0.7, 2.0)),
}


@dataclass(frozen=True, eq=False)
class Hits:
    """Where N rays first meet the room.

    Attributes:
        distance: along the ray, in lengths of the direction; 0 where nothing is hit.
        normal: unit, towards the ray.
        part: 0–5 the room's faces, then boxes, balls, cylinders; −1 where nothing is hit.
        bend: curvature of the surface along x, y, z (1/radius), by which the normal turns.
    """

    distance: Float[Tensor, "n"]
    normal: Float[Tensor, "n 3"]
    part: Int[Tensor, "n"]
    bend: Float[Tensor, "n 3"]


@dataclass(frozen=True, eq=False)
class ProceduralRoom:
    """The room of one seed; tensors are float64 and follow the rays' dtype and device when used.

    Attributes:
        waves: wave vectors of the texture, 1/m.
        phases: their phases.
        mixing: weights of the cosines in the three fields.
        texture: strength of the texture on each part, in [0, 1].
    """

    waves: Float[Tensor, "w 3"]
    phases: Float[Tensor, "w"]
    mixing: Float[Tensor, "w 3"]
    texture: Float[Tensor, "p"]

    def trace(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]]:
        """Colour in [0, 1] and distance along each ray; (0, 0) where nothing is hit.

        First derivatives with respect to the rays are exact except where a ray grazes an edge.
        """
        hits = intersect(origins.detach(), directions.detach())
        distance, points, normals = follow(origins, directions, hits)
        return self.colour(points, normals, hits.part), distance

    def colour(
        self, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], part: Int[Tensor, "n"]
    ) -> Float[Tensor, "n 3"]:
        """Shaded colour of points on the parts; 0 for part −1."""
        table = torch.cat([_materials(points), self.texture.to(points)[:, None]], -1)
        a, b, c, stretch, strength = table[part.clamp_min(0)].split((3, 3, 3, 3, 1), -1)
        waves, phases, mixing = self.waves.to(points), self.phases.to(points), self.mixing.to(points)
        fields = torch.cos(torch.addmm(phases, points * stretch, waves.mT)) @ mixing * strength
        coarse, spots, fine = fields.split(1, -1)
        albedo = torch.lerp(a, b, torch.sigmoid(2.5 * coarse))
        albedo = torch.lerp(albedo, c, strength * torch.sigmoid(7.0 * (spots - 1.15)))
        shaded = albedo * ((0.85 + 0.15 * torch.tanh(fine)) * shade(points, normals)[:, None])
        return torch.where(part[:, None] >= 0, shaded, torch.zeros_like(shaded))

    def faded(self, pixel_m: float) -> "ProceduralRoom":
        """Without the detail that pixels of this size on the surfaces cannot show: each cosine's mean over a pixel."""
        spread = pixel_m * self.waves.norm(dim=-1) / math.sqrt(12)
        return replace(self, mixing=self.mixing * torch.exp(-0.5 * spread**2)[:, None])


def make_room(seed: int = 0, *, wall_texture: float = 1.0) -> ProceduralRoom:
    """The room of a seed.

    Args:
        seed: of the texture; the furniture stands the same in every room.
        wall_texture: strength of the texture on walls, floor and ceiling; 0 leaves them plain.
    """
    generator = torch.Generator().manual_seed(seed)
    octave = torch.arange(_OCTAVES).repeat_interleave(_WAVES)
    direction = torch.randn(len(octave), 3, generator=generator, dtype=torch.float64)
    spread = 1.6 * torch.rand(len(octave), generator=generator, dtype=torch.float64) - 1.1
    phases = torch.rand(len(octave), generator=generator, dtype=torch.float64) * (2 * math.pi)
    length = 2 * math.pi / _LONGEST_M * torch.exp2(octave + spread)
    weights = torch.tensor([_COARSE, _SPOTS, _FINE], dtype=torch.float64).mT[octave]
    mixing = weights * torch.randn(weights.shape, generator=generator, dtype=torch.float64)
    mixing = mixing / (0.5 * mixing.square().sum(0)).sqrt()  # each field has variance 1
    texture = torch.ones(6 + len(_BOXES) + len(_BALLS) + len(_CYLINDERS), dtype=torch.float64)
    texture[:6] = wall_texture
    return ProceduralRoom(torch.nn.functional.normalize(direction, dim=-1) * length[:, None], phases, mixing, texture)


def follow(origins: Tensor, directions: Tensor, hits: Hits) -> tuple[Tensor, Tensor, Tensor]:
    """Distance, point and normal of each hit as differentiable functions of the ray.

    The surface is replaced by its tangent plane at the hit, which has the same first derivatives.
    """
    touched = (origins + hits.distance[:, None] * directions).detach()
    facing = (hits.normal * directions).sum(-1)
    facing = torch.where(facing.abs() < 1e-9, torch.full_like(facing, -1e-9), facing)
    distance = (hits.normal * (touched - origins)).sum(-1) / facing
    distance = torch.where(hits.part >= 0, distance, torch.zeros_like(distance))
    points = origins + distance[:, None] * directions
    normals = torch.nn.functional.normalize(hits.normal + hits.bend * (points - touched), dim=-1)
    return distance, points, normals


def shade(points: Tensor, normals: Tensor) -> Tensor:
    """Brightness in (0, 1]: a lamp from above, dark edges of the room, soft shadows of the furniture."""
    lambert = 0.86 + 0.14 * (normals @ torch.nn.functional.normalize(points.new_tensor(_LIGHT), dim=0))
    size = points.new_tensor(ROOM_M)
    near = torch.cat([points, size - points], -1).clamp_min(0)
    edges = torch.prod(1 - 0.25 * torch.exp(-near / 0.22), -1) / 0.75  # the point's own wall is always near
    rows = (*_BOXES[1:2], *_BOXES[6:9], *_BOXES[13:], *_BALLS, *_CYLINDERS)
    foot = points.new_tensor([(x, y, z - h) for (x, y, z), (_, _, h), _, _ in rows])
    reach = points.new_tensor([(1.2 * a + 0.04, 1.2 * b + 0.04, 0.12) for _, (a, b, _), _, _ in rows])
    foot[0, 2] = 0.0  # the table stands on legs; its shadow lies on the floor
    steep = reach**-2  # Σ ((x − foot) / reach)² expanded, so that it is one product of matrices
    gap2 = torch.cat([points.square(), points], -1) @ torch.cat([steep, -2 * foot * steep], -1).mT
    gap2 = gap2 + (foot.square() * steep).sum(-1)
    shadows = torch.prod(1 - 0.42 * torch.exp(-0.5 * gap2), -1)
    return (lambert * edges.clamp_max(1.0) * shadows).clamp(0.0, 1.0)


def intersect(origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]) -> Hits:
    """The first surface along each ray; not differentiable, see `follow`."""
    o, d = origins.mT.contiguous(), directions.mT.contiguous()
    distance, part = _meet_room(o, d)
    solids = _solids()
    for index, (row, meet, _) in enumerate(solids):
        found = meet(o, d, row)
        nearer = (found > 0) & ((part < 0) | (found < distance))
        distance, part = torch.where(nearer, found, distance), torch.where(nearer, 6 + index, part)
    faces = torch.cat([torch.eye(3), -torch.eye(3)]).to(o)[[0, 3, 1, 4, 2, 5]]
    normal, bend = faces[part.clamp(0, 5)], torch.zeros_like(origins)
    points = origins + distance[:, None] * directions
    for index, (row, _, bow) in enumerate(solids):
        rays = (part == 6 + index).nonzero()[:, 0]
        if len(rays):
            normal[rays], bend[rays] = bow(points[rays] - o.new_tensor(row[0]), row)
    return Hits(distance, normal, part, bend)


def clearance(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """Distance of points from the nearest wall or (a bound of) furniture, negative inside; for placing cameras."""
    gaps = [torch.minimum(points, points.new_tensor(ROOM_M) - points).amin(-1)]
    for center, half, turn, _ in (*_BOXES, *_BALLS, *_CYLINDERS):
        beyond = ((points - points.new_tensor(center)) @ _turn(turn, points)).abs() - points.new_tensor(half)
        gaps.append(beyond.clamp_min(0).norm(dim=-1) + beyond.amax(-1).clamp_max(0))
    return torch.stack(gaps).amin(0)


def _materials(like: Tensor) -> Tensor:
    """(parts, 12): three colours and the stretch of each part."""
    names = (*_FACES, *(row[3] for row in (*_BOXES, *_BALLS, *_CYLINDERS)))
    return like.new_tensor([_MATERIALS[n] for n in names]).flatten(1)


def _turn(degrees: float, like: Tensor) -> Tensor:
    """world_from_box of a box turned about z."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return like.new_tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


_Meet = Callable[[Tensor, Tensor, _Row], Tensor]
_Bow = Callable[[Tensor, _Row], tuple[Tensor, Tensor]]


def _solids() -> list[tuple[_Row, _Meet, _Bow]]:
    """Each piece of furniture with the functions for distance along (3, n) rays, and for normal and curvature."""
    solids: list[tuple[_Row, _Meet, _Bow]] = [(row, _meet_box, _bow_box) for row in _BOXES]
    solids += [(row, _meet_ball, _bow_ball) for row in _BALLS]
    return solids + [(row, _meet_cylinder, _bow_cylinder) for row in _CYLINDERS]


def _nonzero(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 1e-12, torch.full_like(x, 1e-12), x)


def _slabs(o: Tensor, d: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave each slab |x| ≤ half."""
    safe = _nonzero(d)
    one, other = (-half - o) / safe, (half - o) / safe
    return torch.minimum(one, other), torch.maximum(one, other)


def _meet_room(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Distance and face of the room's inner side: where the ray leaves it."""
    half = o.new_tensor(ROOM_M)[:, None] / 2
    enter, leave = _slabs(o - half, d, half)
    out, axis = leave.min(0)
    face = 2 * axis + (d.gather(0, axis[None])[0] > 0)
    hit = (out > 0) & (out > enter.amax(0))
    return torch.where(hit, out, torch.zeros_like(out)), torch.where(hit, face, torch.full_like(face, -1))


def _meet_box(o: Tensor, d: Tensor, row: _Row) -> Tensor:
    box_from_world = _turn(row[2], o).mT
    local = box_from_world @ (o - o.new_tensor(row[0])[:, None])
    enter, leave = _slabs(local, box_from_world @ d, o.new_tensor(row[1])[:, None])
    first = enter.amax(0)
    return torch.where(first < leave.amin(0), first, torch.zeros_like(first))


def _bow_box(away: Tensor, row: _Row) -> tuple[Tensor, Tensor]:
    world_from_box = _turn(row[2], away)
    local = away @ world_from_box / away.new_tensor(row[1])
    face = torch.nn.functional.one_hot(local.abs().argmax(-1), 3).to(away) * local.sign()
    return face @ world_from_box.mT, torch.zeros_like(away)


def _meet_ball(o: Tensor, d: Tensor, row: _Row) -> Tensor:
    away = o - o.new_tensor(row[0])[:, None]
    return _quadratic((d * d).sum(0), (away * d).sum(0), (away * away).sum(0) - row[1][0] ** 2)[0]


def _bow_ball(away: Tensor, row: _Row) -> tuple[Tensor, Tensor]:
    return away / row[1][0], torch.full_like(away, 1 / row[1][0])


def _meet_cylinder(o: Tensor, d: Tensor, row: _Row) -> Tensor:
    away, (radius, _, half) = o - o.new_tensor(row[0])[:, None], row[1]
    flat, along = away[:2], d[:2]
    a = (along * along).sum(0).clamp_min(1e-24)
    enter, leave = _quadratic(a, (flat * along).sum(0), (flat * flat).sum(0) - radius**2)
    lid, base = _slabs(away[2], d[2], away.new_tensor(half))
    first = torch.maximum(enter, lid)
    return torch.where((enter < leave) & (first < torch.minimum(leave, base)), first, torch.zeros_like(first))


def _bow_cylinder(away: Tensor, row: _Row) -> tuple[Tensor, Tensor]:
    radius, _, half = row[1]
    across = away[:, :2] / radius
    lid = (away[:, 2:].abs() / half > across.norm(dim=-1, keepdim=True)).to(away)
    normal = torch.cat([across * (1 - lid), away[:, 2:].sign() * lid], -1)
    return normal, (1 - lid) * away.new_tensor([1 / radius, 1 / radius, 0.0])


def _quadratic(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Both roots of a t² + 2 b t + c, in order; (0, 0) where there is none."""
    root = b * b - a * c
    spread = root.clamp_min(0).sqrt()
    real, zero = root > 0, torch.zeros_like(a)
    return torch.where(real, (-b - spread) / a, zero), torch.where(real, (-b + spread) / a, zero)
