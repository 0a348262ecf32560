"""OBJ: Wavefront's text format with MTL materials: positions, colours, texture coordinates, normals, polygons.

Groups, smoothing and free-form surfaces are passed over. Faces without texture coordinates show no texture.

Source: Alias|Wavefront, "Object Files", appendix B. Differs: three more numbers of a `v` are its colour, as in MeshLab.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from resect.data.mesh.build import MAX_BYTES, build, check_counts
from resect.data.mesh.mtl import read_mtl
from resect.data.mesh.polygons import color_range, fan
from resect.data.mesh.text import indices, numbers, table
from resect.data.mesh.texture import Textures, inside
from resect.errors import ResectError
from resect.geometry.mesh import Material, Mesh

_CHUNK = 65536


class Rows(NamedTuple):
    """What follows a keyword, and the number of each line."""

    text: list[bytes]
    lines: Int[np.ndarray, "n"]


def read_obj(data: bytes, path: Path) -> Mesh:
    """The mesh in the bytes of an OBJ file; its MTL files and pictures are looked for in its folder."""
    rows = _sorted_by_keyword(data)
    vertices, width = table(rows[b"v"].text, 7, path, rows[b"v"].lines)
    check_counts(path, len(vertices), len(rows[b"f"].text))
    if width.min() < 3:
        where = f"{path}, line {rows[b'v'].lines[width.argmin()]}"
        raise ResectError(where, "x, y and z", f"{width.min()} numbers", "The file is cut short or damaged.")
    count, corners = _corners(*rows[b"f"], path)
    v, vt, vn = _absolute(corners, count, rows, path)
    corner, polygon = fan(count)
    uv, _ = table(rows[b"vt"].text, 2, path, rows[b"vt"].lines)
    textures = Textures(path.parent)
    materials, of_polygon = _materials(rows, path, textures)
    materials, face_material, uv, vt = _without_uv(materials, of_polygon[polygon], uv, vt, corner, textures.notes)
    return build(
        path,
        vertices[:, :3],
        v[corner],
        colors=_colors(vertices, width),
        normals=_normals(rows, v, vn, len(vertices), path),
        uv=uv if len(uv) else None,
        uv_faces=vt[corner] if len(uv) else None,
        face_material=face_material if len(materials) > 1 else None,
        materials=materials,
        notes=tuple(textures.notes),
    )


def _sorted_by_keyword(data: bytes) -> dict[bytes, Rows]:
    """What follows each keyword that counts here, with the numbers of the lines."""
    found: dict[bytes, tuple[list[bytes], list[int]]]
    found = {key: ([], []) for key in (b"v", b"vt", b"vn", b"f", b"usemtl", b"mtllib")}
    text = data.replace(b"\\\r\n", b"  \n").replace(b"\\\n", b" ") if b"\\" in data else data
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(None, 1)
        if len(words) == 2 and words[0] in found:
            rest = words[1]
            if b"#" in rest and words[0] not in (b"usemtl", b"mtllib"):
                rest = rest.partition(b"#")[0]
            rows, lines = found[words[0]]
            rows.append(rest)
            lines.append(number)
    return {key: Rows(rows, np.array(lines, np.int64)) for key, (rows, lines) in found.items()}


def _corners(
    rows: Sequence[bytes], lines: Int[np.ndarray, "p"], path: Path
) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "c 3"]]:
    """Corners of each polygon, and their numbers of position, texture coordinate and normal; 0 where there is none."""
    count = np.fromiter((len(row.split()) for row in rows), np.int64, len(rows))
    found = []
    for start in range(0, len(rows), _CHUNK):
        some = rows[start : start + _CHUNK]
        try:
            found.append(_parsed(b" ".join(some), path))
        except ResectError:
            for row, line in zip(some, lines[start:].tolist(), strict=False):
                _parsed(row, f"{path}, line {line}")
            raise
    return count, np.concatenate(found) if found else np.empty((0, 3), np.int64)


def _parsed(text: bytes, where: object) -> Int[np.ndarray, "c 3"]:
    """Corners like 7, 7/1, 7//3 or 7/1/3; all alike in most files, which is much faster."""
    text = b" ".join(text.split())
    characters = np.frombuffer(text, np.uint8)
    corner = (characters == ord(" ")).cumsum()
    slashes = np.bincount(corner[characters == ord("/")], minlength=corner[-1] + 1 if len(corner) else 0)
    if len(slashes) and (slashes == slashes[0]).all() and slashes[0] <= 2:
        parts = int(slashes[0]) + 1
        spaced = (text + b" ").replace(b"/ ", b"/0 ").replace(b"//", b"/0/").replace(b"/", b" ")
    else:
        parts = 3
        words = ([f or b"0" for f in word.split(b"/")] + [b"0", b"0"] for word in text.split())
        spaced = b" ".join(b" ".join(word[:3]) for word in words)
    flat = numbers(spaced, where)
    return np.pad(indices(flat.reshape(-1, parts)), ((0, 0), (0, 3 - parts)))


def _absolute(
    corners: Int[np.ndarray, "c 3"], count: Int[np.ndarray, "p"], rows: dict[bytes, Rows], path: Path
) -> tuple[Int[np.ndarray, "c"], Int[np.ndarray, "c"], Int[np.ndarray, "c"]]:
    """Indices from 0; -1 where there is none. Negative numbers count back from the line they stand on."""
    lines = rows[b"f"].lines
    found = []
    for k, (key, name) in enumerate(((b"v", "vertex"), (b"vt", "texture coordinate"), (b"vn", "normal"))):
        number, there = corners[:, k], rows[key].lines
        index = number - 1
        if (number < 0).any():
            before = np.repeat(np.searchsorted(there, lines), count)
            index = np.where(number < 0, np.maximum(before + number, -2), index)
        wrong = np.flatnonzero((index >= len(there)) | (index < (0 if k == 0 else -1)))
        if len(wrong):
            line = lines[np.searchsorted(count.cumsum(), wrong[0], side="right")]
            expected = f"{name} 1 to {len(there)}, or negative"
            fix = "The file is cut short or damaged; export it again."
            raise ResectError(f"{path}, line {line}", expected, str(number[wrong[0]]), fix)
        found.append(index)
    return found[0], found[1], found[2]


def _colors(vertices: Float[np.ndarray, "v 7"], width: Int[np.ndarray, "v"]) -> Float[np.ndarray, "v 3"] | None:
    if width.max() < 6:
        return None
    weighted = (width == 7)[:, None]  # x y z w r g b
    return color_range(np.where(weighted, vertices[:, 4:7], vertices[:, 3:6]))


def _normals(
    rows: dict[bytes, Rows], v: Int[np.ndarray, "c"], vn: Int[np.ndarray, "c"], count: int, path: Path
) -> Float[np.ndarray, "v 3"] | None:
    """Normals of the vertices; `None` where a vertex has several, as at a sharp edge, or none."""
    if not len(rows[b"vn"].text) or (vn < 0).any():
        return None
    of_vertex = np.full(count, -1)
    of_vertex[v] = vn
    if (of_vertex[v] != vn).any():
        return None
    values, _ = table(rows[b"vn"].text, 3, path, rows[b"vn"].lines)
    normals = values[of_vertex]
    normals[of_vertex < 0] = (0, 0, 1)  # of vertices in no face
    return normals


def _materials(
    rows: dict[bytes, Rows], path: Path, textures: Textures
) -> tuple[tuple[Material, ...], Int[np.ndarray, "p"]]:
    """Materials in the order in which faces use them, and that of each polygon."""
    lines = rows[b"f"].lines
    names = ["", *(name.decode("utf-8", "replace").strip() for name in rows[b"usemtl"].text)]
    state = np.searchsorted(rows[b"usemtl"].lines, lines)
    used = list(dict.fromkeys(names[k] for k in np.unique(state).tolist()))
    number = np.array([used.index(name) if name in used else -1 for name in names])
    known = _library(rows, path, textures) if used != [""] else {}
    missing = [name for name in used if name and name not in known]
    if missing:
        textures.notes.append(f"no material '{missing[0]}'{_more(len(missing) - 1)} in its MTL: its faces are grey")
    return tuple(known.get(name, Material(name=name)) for name in used), number[state]


def _more(count: int) -> str:
    return f" and {count} more" if count else ""


def _library(rows: dict[bytes, Rows], path: Path, textures: Textures) -> dict[str, Material]:
    known: dict[str, Material] = {}
    for text in rows[b"mtllib"].text:
        whole = text.decode("utf-8", "replace").strip()
        names = [whole] if inside(path.parent, whole) else whole.split()
        for name in names:
            file = inside(path.parent, name)
            if file is None or file.stat().st_size > MAX_BYTES:
                textures.notes.append(f"material file '{name}' is not in the mesh's folder: its faces are grey")
                continue
            known |= read_mtl(file.read_bytes(), file, textures)
    return known


def _without_uv(
    materials: tuple[Material, ...],
    face_material: Int[np.ndarray, "t"],
    uv: Float[np.ndarray, "n 2"],
    vt: Int[np.ndarray, "c"],
    corner: Int[np.ndarray, "t 3"],
    notes: list[str],
) -> tuple[tuple[Material, ...], Int[np.ndarray, "t"], Float[np.ndarray, "m 2"], Int[np.ndarray, "c"]]:
    """Faces without texture coordinates get plain twins of their materials and a coordinate that nobody looks at."""
    bare = (vt[corner] < 0).any(1)
    if not len(uv) or not bare.any():
        return materials, face_material, uv, vt
    textured = np.array([m.texture is not None for m in materials])[face_material] & bare
    if textured.any():
        notes.append(f"{int(textured.sum())} faces have no texture coordinates: they show no texture")
        twins = tuple(replace(m, texture=None, color=Material().color) for m in materials)
        face_material = np.where(textured, face_material + len(materials), face_material)
        materials += twins
    return materials, face_material, np.concatenate([uv, np.zeros((1, 2))]), np.where(vt < 0, len(uv), vt)
