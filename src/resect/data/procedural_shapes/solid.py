"""A union of boxes and elliptic cylinders in closed form: what is inside, what a ray meets, its surface, a mesh."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry import solids
from resect.geometry.mesh import Mesh, sample_surface

_SIDES = 48  # of the prism that stands for a cylinder in a mesh
_OUTSIDE = 1e-5  # how far off the surface it is asked whether another part covers it


@dataclass(frozen=True, eq=False)
class Solid:
    """A union of P convex parts in one frame.

    Attributes:
        center: middle of each part.
        obj_from_part: rotation of each part.
        half: half sizes along the part's axes; a cylinder's axis is y, its half axes are x and z.
        round: whether the part is a cylinder.
        color: RGB in [0, 1] of each part.
    """

    center: Float[Tensor, "p 3"]
    obj_from_part: Float[Tensor, "p 3 3"]
    half: Float[Tensor, "p 3"]
    round: Bool[Tensor, "p"]
    color: Float[Tensor, "p 3"]

    def volumes(self) -> Float[Tensor, "p"]:
        """Volume of each part; where parts overlap, both count."""
        return self.half.prod(-1) * torch.where(self.round, 2 * math.pi, 8.0)

    def bounds(self) -> Float[Tensor, "2 3"]:
        """Corners (least, greatest) of the box around all parts, exact for cylinders too."""
        reach = self.obj_from_part * self.half[:, None, :]  # (p, axis of the object, axis of the part)
        box = reach.abs().sum(-1)
        cylinder = torch.hypot(reach[..., 0], reach[..., 2]) + reach[..., 1].abs()
        extent = torch.where(self.round[:, None], cylinder, box)
        return torch.stack([(self.center - extent).amin(0), (self.center + extent).amax(0)])

    def scaled(self, offset: Float[Tensor, "3"], scale: float) -> "Solid":
        """Every point x becomes (x − offset)·scale."""
        return replace(self, center=(self.center - offset) * scale, half=self.half * scale)

    def contains(self, points: Float[Tensor, "n 3"], *, most: int = 1 << 20) -> Bool[Tensor, "n"]:
        """Whether each point is inside or on the surface; at most `most` point–part pairs are held at once."""
        rows = max(1, most // len(self.half))
        return (
            torch.cat([self._inside(part).any(1) for part in points.split(rows)]) if len(points) else points[:, 0] > 0
        )

    def _inside(self, points: Float[Tensor, "n 3"]) -> Bool[Tensor, "n p"]:
        x, y, z = self._local(points).abs().unbind(-1)
        box = (x <= 1) & (y <= 1) & (z <= 1)
        return torch.where(self.round, (x * x + z * z <= 1) & (y <= 1), box)

    def _local(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n p 3"]:
        """In each part's frame, in units of its half sizes."""
        turned = torch.einsum("nj,pji->npi", points, self.obj_from_part.to(points))
        middle = torch.einsum("pj,pji->pi", self.center, self.obj_from_part).to(points)
        return (turned - middle) / self.half.to(points)

    def meet(
        self, part: int, origin: Float[Tensor, "3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"]]:
        """Where rays from a point outside a part enter it, in lengths of the direction (∞ if they miss), and the unit
        normal there. The least over all parts is where the solid is met.
        """
        turn, half = self.obj_from_part[part].to(directions), self.half[part].to(directions)
        o = (origin - self.center[part].to(origin)) @ turn / half
        d = directions @ turn / half
        d = torch.where(d.abs() < 1e-12, torch.full_like(d, 1e-12), d)
        middle, reach = -o / d, 1 / d.abs()
        if bool(self.round[part]):
            enter, leave, normal = _cylinder(o, d, middle[:, 1] - reach[:, 1], middle[:, 1] + reach[:, 1])
        else:
            enter, axis = (middle - reach).max(-1)
            leave = (middle + reach).amin(-1)
            normal = -d.sign() * torch.nn.functional.one_hot(axis, 3)
        enter = torch.where((enter < leave) & (enter > 0), enter, math.inf)
        return enter, torch.nn.functional.normalize((normal / half) @ turn.mT, dim=-1)

    def mesh(self, sides: int = _SIDES) -> Mesh:
        """The parts as closed meshes, coloured; they overlap where the parts do. Cylinders become prisms."""
        block, tube = (
            solids.box((2, 2, 2), dtype=self.half.dtype),
            solids.cylinder(1.0, 2.0, sides, dtype=self.half.dtype),
        )
        tube = replace(tube, vertices=tube.vertices[:, [1, 2, 0]])  # its axis is z
        vertices, faces, colors, count = [], [], [], 0
        for part in range(len(self.half)):
            shape = tube if bool(self.round[part]) else block
            corners = shape.vertices * self.half[part] @ self.obj_from_part[part].mT + self.center[part]
            vertices.append(corners)
            faces.append(shape.faces + count)
            colors.append(self.color[part].expand(len(corners), 3))
            count += len(corners)
        return Mesh(torch.cat(vertices), torch.cat(faces), colors=torch.cat(colors))

    def surface(self, count: int, generator: torch.Generator) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """Points uniform over the outer surface, and outward unit normals. Cylinders count as prisms of 48 sides."""
        mesh = self.mesh()
        face_normals = mesh.face_normals()
        kept: list[tuple[Tensor, Tensor]] = []
        found = 0
        while found < count:
            points, face, _ = sample_surface(mesh, 2 * count, generator)
            normals = face_normals[face]
            free = ~self.contains(points + _OUTSIDE * normals)
            kept.append((points[free], normals[free]))
            found += int(free.sum())
        points, normals = (torch.cat(parts)[:count] for parts in zip(*kept, strict=True))
        return points, normals


def _cylinder(o: Tensor, d: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays enter and leave the unit cylinder about y, and the normal there; `low`, `high` bound its height."""
    a = d[:, 0] ** 2 + d[:, 2] ** 2
    b = o[0] * d[:, 0] + o[2] * d[:, 2]
    gap = b * b - a * (o[0] ** 2 + o[2] ** 2 - 1)
    root = gap.clamp_min(0).sqrt()
    side = torch.where(gap > 0, (-b - root) / a, math.inf)
    enter, leave = torch.maximum(low, side), torch.minimum(high, (root - b) / a)
    point = o + torch.where(enter.isfinite(), enter, 0.0)[:, None] * d
    zero = torch.zeros_like(a)
    radial = torch.stack([point[:, 0], zero, point[:, 2]], -1)
    cap = torch.stack([zero, -d[:, 1].sign(), zero], -1)
    return enter, leave, torch.where((side >= low)[:, None], radial, cap)


def join(solids: Sequence[Solid]) -> Solid:
    """All parts of several solids."""
    fields = ("center", "obj_from_part", "half", "round", "color")
    return Solid(*(torch.cat([getattr(s, name) for s in solids]) for name in fields))
