"""The surface of a mesh as points: what is nearest to a place, how far it is, and what colour it has there.

Samples are uniform by area, so nothing depends on how the surface is cut into triangles, whether it is closed, or on
which way its faces look. Lengths are in diameters, the origin is the centroid of the surface.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.mesh import Mesh, diameter

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

_DENSE = 50_000
_SPARSE = 8192
_NEAR = 32  # triangles that are tried for the nearest point: near an edge the right face may not be among few
_NEAR_COLORS = 8
_EXACT = 1e-4  # diameters; what is nearer lies on the surface
_FAR = 0.1
_PLAIN = 0.02  # colours that vary less than this are one


@dataclass(frozen=True, eq=False)
class SampledSurface:
    """Samples of a surface and a tree over them.

    Attributes:
        center: centroid of the surface in the mesh's frame, float64.
        diameter: in the mesh's units.
        corners: of each face, in diameters about the centre.
        normals: of each face.
        points: dense samples, in diameters about the centre.
        face: of each sample.
        colors: of each sample; `None` where all is of one colour.
        probes: indices of a few samples, themselves uniform, at which motions are tried.
        tree: over `points`.
        spacing: mean distance between neighbouring samples.
    """

    center: Float[Tensor, "3"]
    diameter: float
    corners: Float[Tensor, "f 3 3"]
    normals: Float[Tensor, "f 3"]
    points: Float[Tensor, "n 3"]
    face: Int[Tensor, "n"]
    colors: Float[Tensor, "n 3"] | None
    probes: Int[Tensor, "p"]
    tree: "cKDTree"
    spacing: float

    @classmethod
    def of(cls, mesh: Mesh, generator: torch.Generator) -> "SampledSurface":
        """Samples a mesh.

        Raises:
            ResectError: no face with an area, or coordinates that are not finite.
        """
        from scipy.spatial import cKDTree

        mesh = mesh.to("cpu").to(torch.float64)
        if not bool(mesh.vertices.isfinite().all()):
            raise ResectError(mesh.name or "mesh", "finite vertices", "NaN or infinity", "Repair or export it again.")
        used = mesh.vertices[mesh.faces.unique()]
        across = diameter(used)
        if not across > 0 or not float(mesh.face_areas().sum()) > 1e-12 * across**2:
            raise ResectError(mesh.name or "mesh", "faces with an area", f"{len(mesh.faces)} faces, none with any")
        mesh = replace(mesh, vertices=(mesh.vertices - used.mean(0)) / across)  # areas neither overflow nor vanish
        area = mesh.face_areas()
        center = (mesh.triangles.mean(1) * area[:, None]).sum(0) / area.sum()
        points, face, weights = _evenly(mesh, _DENSE, generator)
        colors = surface_colors(mesh, face, weights)
        if colors is not None and float(colors.std(0).max()) < _PLAIN:
            colors = None
        points = points - center
        probes = torch.randperm(_DENSE, generator=generator)[:_SPARSE]
        return cls(
            used.mean(0) + center * across,
            across,
            mesh.triangles - center,
            mesh.face_normals(),
            points,
            face,
            colors,
            probes,
            cKDTree(points.numpy()),
            math.sqrt(float(area.sum()) / _DENSE),
        )

    @property
    def gap(self) -> float:
        """No point of the surface is farther from a sample, but for one in a hundred thousand (Poisson: π 2² > 12)."""
        return 2 * self.spacing

    @property
    def reach(self) -> float:
        """Distance of the farthest sample from the centre."""
        return float(self.points.norm(dim=-1).max())

    def distance(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Distance to the surface: exact on the triangles of the 32 nearest samples.

        Triangles smaller than the distance between samples (0.6 % of the diameter) count as planes out to the next
        sample.
        """
        return self._to_triangles(points, _NEAR)

    def distance_quantile(self, points: Float[Tensor, "n 3"], share: float, limit: float | None = None) -> float:
        """The distance that this share of the points stay within.

        Args:
            points: a surface that was moved.
            share: above 0, at most 1.
            limit: where it only matters whether the quantile is below or above this, any number on the right side is
                an answer, and comes sooner.

        Only the farthest points decide: all are measured to one triangle, which is never too little, and to many
        those that are not below the quantile. Beyond a tenth of the diameter the nearest sample is near enough.
        """
        k = max(1, math.ceil(share * len(points)))
        away, nearest = self.tree.query(points.numpy())
        to_sample = float(torch.from_numpy(away).kthvalue(k).values)
        if to_sample > (_FAR if limit is None else limit) + self.gap or (limit is not None and to_sample <= limit):
            return to_sample
        found = self._to_triangles(points, 1, torch.from_numpy(nearest)[:, None])
        certain = torch.zeros(len(points), dtype=torch.bool)
        while True:
            quantile = float(found.kthvalue(k).values)
            doubtful = (~certain & (found >= quantile)).nonzero()[:, 0]
            if len(doubtful) == 0 or quantile <= (_EXACT if limit is None else limit):
                return quantile
            some = (~certain * found).topk(min(len(points), 2 * len(points) - 2 * k + _NEAR)).indices
            found[some] = torch.minimum(found[some], self._to_triangles(points[some], _NEAR))
            certain[some] = True

    def _to_triangles(
        self, points: Float[Tensor, "n 3"], count: int, near: Int[Tensor, "n k"] | None = None
    ) -> Float[Tensor, "n"]:
        if near is None:
            near = torch.from_numpy(self.tree.query(points.numpy(), k=count)[1])
        triangles = self.corners[self.face[near]]
        exact = _distance_to_triangles(points[:, None].expand(-1, count, -1), triangles)
        return torch.minimum(exact, self._beside(points, near, triangles)).amin(-1)

    def _beside(
        self, points: Float[Tensor, "n 3"], near: Int[Tensor, "n k"], triangles: Float[Tensor, "n k 3 3"]
    ) -> Float[Tensor, "n k"]:
        """Height over the plane of a triangle so small that its neighbours may hold no sample; otherwise infinite."""
        offset, normal = points[:, None] - self.points[near], self.normals[self.face[near]]
        height = (offset * normal).sum(-1).abs()
        a, b, c = triangles.unbind(-2)
        small = torch.cross(b - a, c - a, dim=-1).norm(dim=-1) < 4 * self.spacing**2
        beside = offset.square().sum(-1) - height.square() < (1.5 * self.spacing) ** 2
        return torch.where(small & beside, height, torch.inf)

    def color_difference(self, points: Float[Tensor, "n 3"], colors: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Root mean square over RGB, to the most alike of the few nearest samples: a shift of 1 % is forgiven."""
        assert self.colors is not None
        _, near = self.tree.query(points.numpy(), k=_NEAR_COLORS)
        there = self.colors[torch.from_numpy(near)]
        return (there - colors[:, None]).square().mean(-1).sqrt().amin(-1)

    def nearest_plane(self, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """The nearest sample of each point and the unit normal there."""
        _, near = self.tree.query(points.numpy())
        index = torch.from_numpy(near)
        return self.points[index], self.normals[self.face[index]]


def surface_colors(mesh: Mesh, face: Int[Tensor, "n"], weights: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"] | None:
    """RGB at points of the surface given by face and barycentric coordinates; `None` if the mesh knows no colours.

    Textures repeat outside [0, 1] and are read at the nearest pixel.
    """
    if mesh.colors is not None:
        return (mesh.colors[mesh.faces[face]] * weights[..., None]).sum(1).to(weights.dtype)
    if len(mesh.materials) == 1 and mesh.materials[0].texture is None:
        return None
    material = torch.zeros_like(face) if mesh.face_material is None else mesh.face_material[face]
    found = torch.tensor([m.color for m in mesh.materials], dtype=weights.dtype)[material]
    if mesh.uv is None or mesh.uv_faces is None:
        return found
    uv = (mesh.uv[mesh.uv_faces[face]] * weights[..., None]).sum(1)
    for index, one in enumerate(mesh.materials):
        if one.texture is not None:
            height, width = one.texture.shape[:2]
            mine = material == index
            column = ((uv[mine, 0] % 1) * width).long().clamp_max(width - 1)
            row = ((-uv[mine, 1] % 1) * height).long().clamp_max(height - 1)
            found[mine] *= one.texture[row, column].to(found)
    return found


def _evenly(
    mesh: Mesh, count: int, generator: torch.Generator
) -> tuple[Float[Tensor, "n 3"], Int[Tensor, "n"], Float[Tensor, "n 3"]]:
    """As `sample_surface`, but each face gets its share of the points, rounded up or down: none large is left out."""
    total = mesh.face_areas().cumsum(0)
    start, u, v = torch.rand(1, generator=generator), *torch.rand(2, count, generator=generator, dtype=total.dtype)
    at = (torch.arange(count, dtype=total.dtype) + start) * (total[-1] / count)
    face = torch.searchsorted(total, at).clamp_max(len(total) - 1)
    root = u.sqrt()
    weights = torch.stack([1 - root, root * (1 - v), root * v], -1)
    return (mesh.triangles[face] * weights[..., None]).sum(1), face, weights


def _distance_to_triangles(points: Float[Tensor, "n k 3"], triangles: Float[Tensor, "n k 3 3"]) -> Float[Tensor, "n k"]:
    """To the plane where the foot lies inside the triangle, otherwise to the nearest of three edges."""
    a, b, c = triangles.unbind(-2)
    normal = torch.cross(b - a, c - a, dim=-1)
    length = normal.norm(dim=-1)
    inside = torch.ones(points.shape[:-1], dtype=torch.bool)
    edges = []
    for start, end in ((a, b), (b, c), (c, a)):
        edge, to = end - start, points - start
        inside &= (torch.cross(edge, to, dim=-1) * normal).sum(-1) >= 0
        share = (to * edge).sum(-1) / edge.square().sum(-1).clamp_min(1e-30)
        edges.append((to - share.clamp(0, 1)[..., None] * edge).norm(dim=-1))
    height = ((points - a) * normal).sum(-1).abs() / length.clamp_min(1e-30)
    return torch.where(inside & (length > 1e-15), height, torch.stack(edges, -1).amin(-1))
