"""What every reader ends with: arrays are checked and become a mesh."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.mesh import Material, Mesh

MAX_BYTES = 2**28
MAX_COUNT = 10_000_000
_MOST = 1e18  # squares of larger ones overflow float32
_SIMPLIFY = "Make it smaller first: resect mesh simplify, MeshLab or Blender."


def check_counts(where: object, vertices: int, faces: int) -> None:
    """An error for meshes without a surface, and for those that are beyond reason."""
    if vertices < 1 or faces < 1:
        got = f"{vertices} vertices and {faces} faces"
        fix = "Points alone cannot be rendered; export the surface." if vertices else "The file is empty or cut short."
        raise ResectError(where, "a surface of triangles", got, fix)
    if max(vertices, faces) > MAX_COUNT:
        got = f"{vertices} vertices and {faces} faces"
        raise ResectError(where, f"at most {MAX_COUNT} vertices and faces", got, _SIMPLIFY)


def build(
    where: object,
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    *,
    colors: Float[np.ndarray, "v 3"] | None = None,
    normals: Float[np.ndarray, "v 3"] | None = None,
    uv: Float[np.ndarray, "t 2"] | None = None,
    uv_faces: Int[np.ndarray, "f 3"] | None = None,
    face_material: Int[np.ndarray, "f"] | None = None,
    materials: tuple[Material, ...] = (Material(),),
    notes: tuple[str, ...] = (),
) -> Mesh:
    """A mesh in float32, or the error that says what is wrong with its arrays.

    Where a texture is there, colours of vertices are dropped: it is finer. Normals that are not all of some length are
    dropped too, and computed when they are asked for.

    Raises:
        ResectError: no faces, too many, positions that are not finite, indices out of range.
    """
    check_counts(where, len(vertices), len(faces))
    _check_finite(where, vertices)
    _check_range(where, "vertex", faces, len(vertices))
    if uv is None or uv_faces is None or not len(uv) or not np.isfinite(uv).all():
        uv = uv_faces = None
        if any(m.texture is not None for m in materials):
            notes = (*notes, "a texture without usable texture coordinates is not shown")
            materials = tuple(Material(m.color, None, m.name) for m in materials)
    else:
        _check_range(where, "texture coordinate", uv_faces, len(uv))
    if face_material is not None:
        _check_range(where, "material", face_material[:, None], len(materials))
    if colors is not None and any(m.texture is not None for m in materials):
        colors, notes = None, (*notes, "colours of vertices give way to the texture")
    return Mesh(
        _float(vertices),
        torch.from_numpy(faces.astype(np.int64)),
        colors=None if colors is None else _float(colors),
        normals=None if normals is None else _unit(normals),
        uv=None if uv is None else _float(uv),
        uv_faces=None if uv_faces is None else torch.from_numpy(uv_faces.astype(np.int64)),
        face_material=None if face_material is None else torch.from_numpy(face_material.astype(np.int64)),
        materials=materials,
        notes=notes,
    )


def _float(values: Float[np.ndarray, "*n"]) -> Float[Tensor, "*n"]:
    return torch.from_numpy(values.astype(np.float32))


def _unit(normals: Float[np.ndarray, "v 3"]) -> Float[Tensor, "v 3"] | None:
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    usable = np.isfinite(length).all() and float(length.min()) > 1e-6
    return _float(normals / length) if usable else None


def _check_finite(where: object, vertices: Float[np.ndarray, "v 3"]) -> None:
    wrong = np.flatnonzero(~(np.abs(vertices) < _MOST).all(1))  # also NaN
    if len(wrong):
        got = f"{vertices[wrong[0]].tolist()} at vertex {wrong[0]}{_more(wrong)}"
        raise ResectError(where, f"finite positions below {_MOST:g}", got, "Remove these vertices and their faces.")


def _check_range(where: object, what: str, index: Int[np.ndarray, "f k"], count: int) -> None:
    wrong = np.flatnonzero(((index < 0) | (index >= count)).any(1))
    if len(wrong):
        got = f"{index[wrong[0]].tolist()} in triangle {wrong[0]}{_more(wrong)}"
        fix = "The file is cut short or damaged; export it again."
        raise ResectError(where, f"indices of a {what} from 0 to {count - 1}", got, fix)


def _more(wrong: Int[np.ndarray, "n"]) -> str:
    return f" and at {len(wrong) - 1} more" if len(wrong) > 1 else ""
