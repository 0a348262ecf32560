"""Fewer faces for the same shape, by quadric error (Garland & Heckbert 1997) through fast-simplification (an extra)."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import NotInstalledError, ResectError
from resect.geometry.mesh import Material, Mesh, sample_surface
from resect.geometry.mesh_color import surface_colors
from resect.geometry.mesh_edit import merge_vertices

_SAMPLES_PER_VERTEX = 32
_MOST_SAMPLES = 2_000_000


def simplify(mesh: Mesh, faces: int) -> Mesh:
    """The mesh with about `faces` faces, in the same frame and units.

    Vertices at the same place are merged first, or seams would tear. Colours, textures and materials become colours of
    vertices: the mean of the old surface around each new vertex. Normals are dropped.

    Args:
        mesh: any.
        faces: to keep; where there are no more, nothing is simplified. Where holes and borders forbid it more may stay,
            and `notes` say so.
    """
    if faces < 4:
        raise ResectError("faces", "4 or more", str(faces))
    merged = merge_vertices(mesh)
    if len(merged.faces) <= faces:
        return mesh
    try:
        import fast_simplification
    except ImportError:
        raise NotInstalledError("fast-simplification", "mesh", "simplifying meshes") from None
    middle = mesh.bounds.mean(0)  # the library works in float32: near the origin that is fine enough
    points = (merged.vertices - middle).float().cpu().numpy()
    moved, kept = fast_simplification.simplify(points, merged.faces.int().cpu().numpy(), target_count=faces)
    if not len(kept):
        raise ResectError("simplify", f"{faces} faces of a surface", "none left", "Keep more faces.")
    vertices = torch.from_numpy(np.asarray(moved)).to(middle) + middle
    notes = mesh.notes
    if len(kept) > 1.1 * faces:
        notes = (*notes, f"{len(kept)} faces stay: borders of the surface forbid fewer")
    if any(m.texture is not None for m in mesh.materials) and mesh.colors is None:
        notes = (*notes, "textures became colours of vertices")
    index = torch.from_numpy(np.asarray(kept).astype(np.int64)).to(mesh.faces.device)
    plain = mesh.colors is None and len(mesh.materials) == 1 and mesh.materials[0].texture is None
    return Mesh(
        vertices,
        index,
        colors=None if plain else _carried_over(mesh, vertices),
        materials=mesh.materials if plain else (Material(),),
        meters_per_unit=mesh.meters_per_unit,
        name=mesh.name,
        notes=notes,
    )


def _carried_over(mesh: Mesh, vertices: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """For each new vertex the mean colour of the old surface that is nearest to it."""
    from scipy.spatial import cKDTree

    count = min(_SAMPLES_PER_VERTEX * len(vertices), _MOST_SAMPLES)
    old = mesh.to("cpu")
    points, face, weights = sample_surface(old, count, torch.Generator().manual_seed(0))
    colors = surface_colors(old, face, weights)
    nearest = torch.from_numpy(cKDTree(vertices.cpu().numpy()).query(points.numpy())[1])
    total = torch.zeros(len(vertices), 3, dtype=colors.dtype).index_add(0, nearest, colors)
    many = torch.bincount(nearest, minlength=len(vertices))[:, None]
    found = total / many.clamp_min(1)
    lone = (many[:, 0] == 0).nonzero()[:, 0]
    if len(lone):
        found[lone] = colors[torch.from_numpy(cKDTree(points.numpy()).query(vertices[lone].cpu().numpy())[1])]
    return found.to(vertices)
