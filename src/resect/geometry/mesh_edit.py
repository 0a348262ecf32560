"""Meshes from meshes: moved, scaled to a unit box, joined, their repeated vertices merged."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.mesh import Material, Mesh
from resect.geometry.mesh_color import vertex_colors
from resect.geometry.mesh_topology import distinct_rows
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3


def transformed(mesh: Mesh, new_from_mesh: SE3 | Sim3) -> Mesh:
    """The mesh in another frame; a scale changes the length of its units accordingly."""
    rotation = new_from_mesh.R.to(mesh.vertices)
    vertices = mesh.vertices @ rotation.mT
    meters = mesh.meters_per_unit
    if isinstance(new_from_mesh, Sim3):
        vertices = vertices * new_from_mesh.s.to(mesh.vertices)
        meters = None if meters is None else meters / float(new_from_mesh.s)
    normals = None if mesh.normals is None else mesh.normals @ rotation.mT
    return replace(mesh, vertices=vertices + new_from_mesh.t.to(vertices), normals=normals, meters_per_unit=meters)


def normalized(mesh: Mesh) -> tuple[Mesh, Sim3]:
    """The mesh with its box around the origin and the box's longest side 1, and the `unit_from_mesh` that did it."""
    least, greatest = mesh.bounds
    side = (greatest - least).max()
    if not float(side) > 0:
        raise ResectError("normalized", "a mesh that extends somewhere", "one point")
    scale = 1 / side
    unit_from_mesh = Sim3(scale, torch.eye(3).to(scale), -scale * (least + greatest) / 2)
    return transformed(mesh, unit_from_mesh), unit_from_mesh


def merge_vertices(mesh: Mesh, tolerance: float = 0.0) -> Mesh:
    """One vertex where several lie at the same place; faces keep their number and order.

    Files repeat vertices along seams of texture or normals; silhouettes, symmetries and holes need them to be one.
    Colours are those of the first. Normals are dropped where something was merged: at a sharp edge there are several.

    Args:
        mesh: any.
        tolerance: mesh units; chains of vertices no farther apart than this become one. 0 merges equal positions only.
    """
    first, which = _same_place(mesh.vertices, tolerance)
    if len(first) == len(mesh.vertices):
        return mesh
    return replace(
        mesh,
        vertices=mesh.vertices[first],
        faces=which[mesh.faces],
        colors=None if mesh.colors is None else mesh.colors[first],
        normals=None,
    )


def _same_place(vertices: Float[Tensor, "v 3"], tolerance: float) -> tuple[Int[Tensor, "n"], Int[Tensor, "v"]]:
    """The first vertex of each place, in order, and the place of each vertex."""
    if tolerance > 0:
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components
        from scipy.spatial import cKDTree

        points = vertices.detach().cpu().numpy()
        pairs = cKDTree(points).query_pairs(tolerance, output_type="ndarray")
        links = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(points),) * 2)
        label = connected_components(links, directed=False)[1]
    else:
        label = distinct_rows(vertices.detach().cpu())[1].numpy()
    _, first, which = np.unique(label, return_index=True, return_inverse=True)
    order = first.argsort()
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    device = vertices.device
    return torch.from_numpy(first[order]).to(device), torch.from_numpy(rank[which]).to(device)


def concatenated(meshes: Sequence[Mesh], world_from_mesh: SE3 | None = None) -> Mesh:
    """One mesh of several, e.g. a map of the objects that were found.

    Textures are kept where no mesh has colours of vertices; where some have, those of the others are baked into theirs.

    Args:
        meshes: in the same units.
        world_from_mesh: (m,) where each stands; `None` leaves them where they are.
    """
    if not meshes:
        raise ResectError("concatenated", "one mesh or more", "none")
    units = {m.meters_per_unit for m in meshes}
    if len(units) > 1:
        raise ResectError("concatenated", "meshes in the same units", f"metres per unit {sorted(map(str, units))}")
    if world_from_mesh is not None:
        meshes = [transformed(mesh, world_from_mesh[i]) for i, mesh in enumerate(meshes)]
    colored = any(m.colors is not None for m in meshes)
    if colored:
        plain = (Material(),)
        meshes = [replace(m, colors=vertex_colors(m), materials=plain, face_material=None) for m in meshes]
    with_normals = all(m.normals is not None for m in meshes)
    textured = any(m.texture is not None for mesh in meshes for m in mesh.materials)
    uv, uv_faces = _joined_texture_coordinates(meshes) if textured else (None, None)
    return Mesh(
        torch.cat([m.vertices for m in meshes]),
        torch.cat(_shifted([m.faces for m in meshes], [len(m.vertices) for m in meshes])),
        colors=torch.cat([vertex_colors(m) for m in meshes]) if colored else None,
        normals=torch.cat([m.vertex_normals() for m in meshes]) if with_normals else None,
        uv=uv,
        uv_faces=uv_faces,
        face_material=_joined_materials(meshes),
        materials=tuple(material for m in meshes for material in m.materials),
        meters_per_unit=meshes[0].meters_per_unit,
        name=" + ".join(dict.fromkeys(m.name for m in meshes if m.name)),
        notes=tuple(dict.fromkeys(note for m in meshes for note in m.notes)),
    )


def _shifted(indices: Sequence[Int[Tensor, "_ 3"]], counts: Sequence[int]) -> list[Int[Tensor, "_ 3"]]:
    before = np.cumsum([0, *counts]).tolist()
    return [index + start for index, start in zip(indices, before[:-1], strict=True)]


def _joined_materials(meshes: Sequence[Mesh]) -> Int[Tensor, "f"]:
    own = [m.faces.new_zeros(len(m.faces)) if m.face_material is None else m.face_material for m in meshes]
    before = np.cumsum([0, *(len(m.materials) for m in meshes)]).tolist()
    return torch.cat([index + start for index, start in zip(own, before[:-1], strict=True)])


def _joined_texture_coordinates(meshes: Sequence[Mesh]) -> tuple[Float[Tensor, "t 2"], Int[Tensor, "f 3"]]:
    """Meshes without any get one that is never looked at."""
    uv = [m.vertices.new_zeros(1, 2) if m.uv is None or m.uv_faces is None else m.uv for m in meshes]
    faces = [torch.zeros_like(m.faces) if m.uv is None or m.uv_faces is None else m.uv_faces for m in meshes]
    return torch.cat(uv), torch.cat(_shifted(faces, [len(x) for x in uv]))
