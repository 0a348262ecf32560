"""Meshes to files: PLY and OBJ, with textures as PNG beside them. Nothing is written over unasked."""

from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from resect.artifact import write_atomic
from resect.errors import ResectError
from resect.geometry.mesh import Material, Mesh


def write_mesh(mesh: Mesh, path: Path | str, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Writes PLY or OBJ, by the name's ending; see `write_ply` and `write_obj`."""
    writers = {".ply": write_ply, ".obj": write_obj}
    suffix = Path(path).suffix.lower()
    if suffix not in writers:
        raise ResectError(path, "a name that ends in .ply or .obj", repr(suffix))
    return writers[suffix](mesh, path, overwrite=overwrite)


def write_ply(mesh: Mesh, path: Path | str, *, binary: bool = True, overwrite: bool = False) -> tuple[Path, ...]:
    """Writes a PLY file in the mesh's own units and frame.

    Textures go beside it, named by comments as MeshLab does, with a coordinate for each corner of each face; materials
    without texture become the colours of their faces, to 8 bits.

    Returns:
        All files written, the mesh first.
    """
    path, mesh = Path(path), _visible(mesh)
    pictures = _pictures(mesh, path)
    _refuse([path, *pictures], overwrite)
    vertex, vertex_lines = _ply_vertices(mesh)
    face, face_lines = _ply_faces(mesh)
    header = ["ply", f"format {'binary_little_endian' if binary else 'ascii'} 1.0", "comment written by resect"]
    header += [f"comment TextureFile {picture.name}" for picture in pictures]
    header += [f"element vertex {len(vertex)}", *vertex_lines, f"element face {len(face)}", *face_lines, "end_header\n"]
    body = vertex.tobytes() + face.tobytes() if binary else _text(vertex) + _text(face)
    _write_pictures(mesh, pictures)
    write_atomic(path, "\n".join(header).encode() + body)
    return path, *pictures


def write_obj(mesh: Mesh, path: Path | str, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Writes an OBJ file in the mesh's own units and frame, its MTL file and its textures beside it.

    Colours of vertices stand behind their positions, as MeshLab has it.

    Returns:
        All files written, the mesh first.
    """
    path, mesh = Path(path), _visible(mesh)
    pictures = _pictures(mesh, path)
    library = path.with_suffix(".mtl")
    _refuse([path, library, *pictures], overwrite)
    vertices = _array(mesh.vertices)
    if mesh.colors is not None:
        vertices = np.concatenate([vertices, _array(mesh.colors)], 1)
    lines = ["# written by resect", f"mtllib {library.name}", *_rows("v", vertices)]
    lines += _rows("vt", _array(mesh.uv)) if mesh.uv is not None else []
    lines += _rows("vn", _array(mesh.normals)) if mesh.normals is not None else []
    lines += _obj_faces(mesh)
    _write_pictures(mesh, pictures)
    write_atomic(library, _materials(mesh, pictures).encode())
    write_atomic(path, ("\n".join(lines) + "\n").encode())
    return path, library, *pictures


def _visible(mesh: Mesh) -> Mesh:
    """The mesh without textures that nobody sees: behind colours of vertices, or without coordinates."""
    if mesh.colors is not None:
        return replace(mesh, materials=(Material(),), face_material=None, uv=None, uv_faces=None)
    if mesh.uv is None or mesh.uv_faces is None:
        return replace(mesh, materials=tuple(replace(m, texture=None) for m in mesh.materials), uv=None, uv_faces=None)
    return mesh


def _ply_vertices(mesh: Mesh) -> tuple[Shaped[np.ndarray, "v"], list[str]]:
    """Rows of vertices, and their properties in the header."""
    position = _array(mesh.vertices)
    type_, name = ("<f8", "double") if position.dtype == np.float64 else ("<f4", "float")
    columns = [(n, type_, name, position[:, k]) for k, n in enumerate("xyz")]
    if mesh.normals is not None:
        columns += [(f"n{n}", "<f4", "float", _array(mesh.normals)[:, k]) for k, n in enumerate("xyz")]
    if mesh.colors is not None:
        bytes_ = _bytes(mesh.colors)
        columns += [(n, "u1", "uchar", bytes_[:, k]) for k, n in enumerate(("red", "green", "blue"))]
    rows = np.empty(len(position), [(n, t) for n, t, _, _ in columns])
    for n, _, _, values in columns:
        rows[n] = values
    return rows, [f"property {word} {n}" for n, _, word, _ in columns]


def _ply_faces(mesh: Mesh) -> tuple[Shaped[np.ndarray, "f"], list[str]]:
    """Rows of faces, and their properties in the header."""
    fields: list[tuple[str, str, tuple[int, ...]]] = [("n", "u1", ()), ("index", "<i4", (3,))]
    lines = ["property list uchar int vertex_indices"]
    textured = [m.texture is not None for m in mesh.materials]
    material = _face_material(mesh)
    if any(textured) and mesh.uv is not None:
        fields += [("m", "u1", ()), ("uv", "<f4", (6,)), ("number", "<i4", ())]
        lines += ["property list uchar float texcoord", "property int texnumber"]
    if mesh.colors is None and any(m.texture is None and m.color != Material().color for m in mesh.materials):
        fields += [("color", "u1", (3,))]
        lines += [f"property uchar {name}" for name in ("red", "green", "blue")]
    rows = np.empty(len(mesh.faces), fields)
    rows["n"], rows["index"] = 3, mesh.faces.cpu().numpy()
    if "uv" in rows.dtype.names and mesh.uv is not None and mesh.uv_faces is not None:  # type: ignore[operator]
        rows["m"], rows["uv"] = 6, _array(mesh.uv[mesh.uv_faces]).reshape(-1, 6)
        rows["number"] = np.where(textured, np.cumsum(textured) - 1, -1)[material]
    if "color" in rows.dtype.names:  # type: ignore[operator]
        rows["color"] = np.array([np.round(np.array(m.color) * 255) for m in mesh.materials])[material]
    return rows, lines


def _obj_faces(mesh: Mesh) -> list[str]:
    """Faces in their order, the name of the material where it changes."""
    material = _face_material(mesh)
    corners = [mesh.faces.cpu().numpy() + 1]
    pattern = "{}"
    if mesh.uv_faces is not None:
        corners.append(mesh.uv_faces.cpu().numpy() + 1)
        pattern = "{}/{}"
    if mesh.normals is not None:
        corners.append(corners[0])
        pattern += "/{}" if mesh.uv_faces is not None else "//{}"
    numbers = np.stack(corners, -1).reshape(len(mesh.faces), -1)
    row = "f " + " ".join([pattern] * 3)
    lines = [row.format(*corners_of_face) for corners_of_face in numbers.tolist()]
    changes = np.flatnonzero(np.diff(material, prepend=-1))
    for face in changes.tolist():
        lines[face] = f"usemtl {_name(mesh, int(material[face]))}\n{lines[face]}"
    return lines


def _materials(mesh: Mesh, pictures: list[Path]) -> str:
    lines, left = ["# written by resect"], iter(pictures)
    for k, m in enumerate(mesh.materials):
        color = m.color if m.texture is None else (1, 1, 1)  # it is in the picture
        lines += [f"newmtl {_name(mesh, k)}", "Kd {:.6g} {:.6g} {:.6g}".format(*color)]
        lines += [] if m.texture is None else [f"map_Kd {next(left).name}"]
    return "\n".join(lines) + "\n"


def _name(mesh: Mesh, number: int) -> str:
    """The material's name, made unique and whole on one line."""
    names = [" ".join(m.name.split()) for m in mesh.materials]
    plain = names[number]
    return plain if plain and names.count(plain) == 1 else f"{plain or 'material'}_{number}"


def _pictures(mesh: Mesh, path: Path) -> list[Path]:
    """A file for each material that has a texture, in the order of the materials."""
    count = sum(m.texture is not None for m in mesh.materials)
    return [path.with_name(f"{path.stem}{'' if count == 1 else f'_{k}'}.png") for k in range(count)]


def _write_pictures(mesh: Mesh, pictures: Iterable[Path]) -> None:
    from PIL import Image

    seen = [m.texture * m.texture.new_tensor(m.color) for m in mesh.materials if m.texture is not None]
    for path, texture in zip(pictures, seen, strict=True):
        buffer = BytesIO()
        Image.fromarray(_bytes(texture)).save(buffer, format="PNG")
        write_atomic(path, buffer.getvalue())


def _refuse(paths: list[Path], overwrite: bool) -> None:
    there = next((p for p in paths if p.exists()), None)
    if there is not None and not overwrite:
        raise ResectError(
            there, "a new file", "one that exists", "Add --overwrite (overwrite=True) or take another name."
        )


def _face_material(mesh: Mesh) -> Int[np.ndarray, "f"]:
    if mesh.face_material is None:
        return np.zeros(len(mesh.faces), np.int64)
    return mesh.face_material.cpu().numpy()


def _array(values: Tensor) -> Float[np.ndarray, "*n"]:
    return values.detach().cpu().numpy()


def _bytes(values: Float[Tensor, "*n"]) -> Shaped[np.ndarray, "*n"]:
    return (values.detach().cpu().clamp(0, 1) * 255).round().byte().numpy()


def _rows(keyword: str, values: Float[np.ndarray, "n k"]) -> list[str]:
    """With as many digits as give the same numbers back."""
    digits = 17 if values.dtype == np.float64 else 9
    row = keyword + f" %.{digits}g" * values.shape[1]
    return [row % tuple(numbers) for numbers in values.tolist()]


def _text(rows: Shaped[np.ndarray, "n"]) -> bytes:
    """A structured array as lines of numbers."""
    names = rows.dtype.names or ()
    columns = [rows[name].reshape(len(rows), -1) for name in names]
    rule = {"f4": "%.9g", "f8": "%.17g"}
    row = " ".join(" ".join([rule.get(c.dtype.str[1:], "%d")] * c.shape[1]) for c in columns)
    cells = zip(*(c.tolist() for c in columns), strict=True)
    return "".join(row % tuple(v for cell in line for v in cell) + "\n" for line in cells).encode()
