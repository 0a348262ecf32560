"""Coarser copies of a mesh: vertices within a cell become one (Rossignac and Borrel, 1993)."""

import torch
from torch import Tensor

from resect.geometry.mesh import Mesh
from resect.geometry.mesh_color import vertex_colors
from resect.geometry.mesh_topology import distinct_rows, first_of


def clustered(mesh: Mesh, cell: float) -> Mesh:
    """The mesh with one vertex a cell, at the mean of those in it weighted by the area around each.

    Colours of vertices are averaged likewise; textures become colours of vertices first. Faces that lose their area are
    left out, as are repeated ones. No point moves farther than the diagonal of a cell.

    Args:
        cell: side of the cells, mesh units.
    """
    place = ((mesh.vertices - mesh.vertices.amin(0)) / cell).floor().long()
    count, which = distinct_rows(place)
    area = torch.zeros_like(mesh.vertices[:, 0])
    for corner in mesh.faces.unbind(1):
        area = area.index_add(0, corner, mesh.face_areas())
    weight = area + 1e-9 * area.mean() + 1e-30

    def mean(values: Tensor) -> Tensor:
        total = values.new_zeros(len(count), values.shape[1]).index_add(0, which, values * weight[:, None].to(values))
        return total / weight.new_zeros(len(count)).index_add(0, which, weight)[:, None].to(values)

    normals = None if mesh.normals is None else torch.nn.functional.normalize(mean(mesh.normals), dim=-1)
    faces = _distinct(which[mesh.faces])
    notes = (*mesh.notes, f"clustered to cells of {cell:.3g}")
    return Mesh(
        mean(mesh.vertices), faces, mean(vertex_colors(mesh)), normals, meters_per_unit=mesh.meters_per_unit,
        name=mesh.name, notes=notes,
    )  # fmt: skip


def edge_length(mesh: Mesh) -> float:
    """Mean length of the sides of the faces."""
    corners = mesh.triangles
    return float((corners - corners.roll(-1, 1)).norm(dim=-1).mean())


def _distinct(faces: Tensor) -> Tensor:
    """Faces with three different vertices, each once: of those with the same vertices the first."""
    a, b, c = faces.unbind(1)
    faces = faces[(a != b) & (b != c) & (c != a)]
    kinds, which = distinct_rows(faces.sort(1).values)
    return faces[first_of(which, len(kinds)).sort().values]
