"""What of a mesh can be worked out before it is looked at: topology, slopes of what lies on the faces, textures."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.mesh import Mesh
from resect.geometry.mesh_topology import distinct_rows, edges, first_of
from resect.scenes.mesh.texture import Atlas


@dataclass(frozen=True, eq=False)
class Surface:
    """A mesh, prepared.

    Attributes:
        vertices: float64.
        faces: three vertices each.
        normal: (F, 3) unit normals.
        slope: (F, 3, 3) gradient of each barycentric coordinate along the surface, 1 / world unit.
        colors: (F, 3, 3) RGB of each corner; multiplies the texture.
        corner_normals: (F, 3, 3) unit normals of each corner, where the mesh has its own.
        uv: (F, 3, 2) texture coordinates of each corner, (0, 0) the upper left; `None` without textures.
        texture: (F,) number of the face's texture in the atlas, −1 without one.
        texel_density: (F,) texels of the full texture per square unit of the surface.
        atlas: the textures.
        edges: (E, 2) vertices of each edge, each once: an edge that is drawn twice would count twice.
        edge_faces: (E, 2) faces at each edge, −1 where there is no second one, or where more than two meet.
        edge_sense: (E,) −1 where both faces run along the edge in opposite directions, as they should; else 1.
        closed: whether every edge has two faces that agree, and the inside has a volume > 0: then faces seen from
            behind are hidden wherever the camera is outside.
    """

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    normal: Float[Tensor, "f 3"]
    slope: Float[Tensor, "f 3 3"]
    colors: Float[Tensor, "f 3 3"]
    corner_normals: Float[Tensor, "f 3 3"] | None
    uv: Float[Tensor, "f 3 2"] | None
    texture: Int[Tensor, "f"]
    texel_density: Float[Tensor, "f"]
    atlas: Atlas | None
    edges: Int[Tensor, "e 2"]
    edge_faces: Int[Tensor, "e 2"]
    edge_sense: Int[Tensor, "e"]
    closed: bool

    @classmethod
    def of(cls, mesh: Mesh, dtype: torch.dtype) -> "Surface":
        """Prepares a mesh; what lies on the faces in this dtype."""
        _check(mesh)
        vertices = mesh.vertices.detach().double()
        a, b, c = vertices[mesh.faces].unbind(1)
        across = torch.linalg.cross(b - a, c - a)
        square = (across * across).sum(-1, keepdim=True)
        inverse = torch.where(square > 0, 1 / square, 0.0)
        slope = torch.stack([torch.linalg.cross(across, x) for x in (c - b, a - c, b - a)], 1) * inverse[:, None]
        welded = _welded(mesh)
        between, beside = edges(welded)
        agree = bool((beside >= 0).all() & (_sense(welded.faces, between, beside) < 0).all())
        closed = agree and float((a * across).sum()) > 0
        between, beside = _each_once(welded)
        sense = _sense(welded.faces, between, beside)
        uv, texture, density, atlas = _textures(mesh, square[:, 0].sqrt() / 2)
        normals = None if mesh.normals is None else mesh.normals[mesh.faces].to(dtype)
        return cls(
            vertices, mesh.faces, torch.nn.functional.normalize(across, dim=-1).to(dtype), slope.to(dtype),
            _corner_colors(mesh).to(dtype), normals, None if uv is None else uv.to(dtype), texture, density.to(dtype),
            None if atlas is None else replace(atlas, texels=atlas.texels.to(dtype)), _unwelded(mesh, welded, between),
            beside, sense, closed,
        )  # fmt: skip


def _check(mesh: Mesh) -> None:
    if not len(mesh.faces):
        raise ResectError(f"mesh {mesh.name}", "faces", "none", "A cloud of points cannot be rendered.")
    if not bool(mesh.vertices.isfinite().all()):
        raise ResectError(f"mesh {mesh.name}", "finite vertices", "NaN or infinity")
    low, high = int(mesh.faces.min()), int(mesh.faces.max())
    if low < 0 or high >= len(mesh.vertices):
        raise ResectError(f"mesh {mesh.name}", f"vertices 0 to {len(mesh.vertices) - 1} in faces", f"{low} to {high}")


def _welded(mesh: Mesh) -> Mesh:
    """The faces with equal positions as one vertex: files repeat vertices along seams."""
    kept, same = distinct_rows(mesh.vertices)
    return Mesh(kept, same[mesh.faces])


def _unwelded(mesh: Mesh, welded: Mesh, between: Tensor) -> Tensor:
    """The edges as indices into the mesh's own vertices; any of those with equal position will do."""
    own = torch.zeros(len(welded.vertices), dtype=torch.long, device=between.device)
    own[welded.faces.reshape(-1)] = mesh.faces.reshape(-1)
    return own[between]


def _each_once(welded: Mesh) -> tuple[Tensor, Tensor]:
    """Edges and their faces; faces that are there twice, once for each side as CAD models have them, count as one."""
    corners, row = distinct_rows(welded.faces.sort(1).values)
    kept = first_of(row, len(corners))
    between, beside = edges(Mesh(welded.vertices, welded.faces[kept]))
    ends, row = distinct_rows(between.sort(1).values)
    first, count = first_of(row, len(ends)), row.bincount(minlength=len(ends))
    beside = torch.where(beside < 0, -1, kept[beside.clamp_min(0)])[first]
    beside[count > 1, 1] = -1
    return between[first], beside


def _sense(faces: Tensor, between: Tensor, beside: Tensor) -> Tensor:
    """−1 where the second face runs along an edge against the first, else 1 (also without a second)."""
    corners = faces[beside[:, 1].clamp_min(0)]
    along = ((corners == between[:, :1]) & (corners.roll(-1, 1) == between[:, 1:])).any(1)
    return torch.where((beside[:, 1] < 0) | along, 1, -1)


def _corner_colors(mesh: Mesh) -> Tensor:
    if mesh.colors is not None:
        return mesh.colors[mesh.faces]
    palette = torch.tensor([m.color for m in mesh.materials], device=mesh.vertices.device)
    return palette[_materials(mesh)][:, None].expand(-1, 3, -1)


def _materials(mesh: Mesh) -> Tensor:
    zero = torch.zeros(len(mesh.faces), dtype=torch.long, device=mesh.faces.device)
    return zero if mesh.face_material is None else mesh.face_material


def _textures(mesh: Mesh, area: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Atlas | None]:
    """Texture coordinates, number of the texture, texels per area, atlas; vertex colours take precedence."""
    none = torch.full((len(mesh.faces),), -1, device=mesh.faces.device), torch.zeros_like(area)
    pictures = [m.texture for m in mesh.materials if m.texture is not None]
    if mesh.colors is not None or mesh.uv is None or mesh.uv_faces is None or not pictures:
        return None, *none, None
    number, count = [], 0
    for material in mesh.materials:
        number.append(count if material.texture is not None else -1)
        count += material.texture is not None
    texture = torch.tensor(number, device=mesh.faces.device)[_materials(mesh)]
    atlas = Atlas.of(pictures)
    corners = mesh.uv.double()[mesh.uv_faces]
    corners = torch.stack([corners[..., 0], 1 - corners[..., 1]], -1)
    b, c = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    texels = 0.5 * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0]).abs() * atlas.size[texture.clamp_min(0), 0].prod(-1)
    return corners, texture, torch.where(area > 0, texels / area.clamp_min(1e-300), 0.0), atlas
