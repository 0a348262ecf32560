"""OFF: Geomview's object file format as text; with colours (COFF), normals (NOFF), texture coordinates (STOFF).

Source: http://www.geomview.org/docs/html/OFF.html. Differs: ModelNet's files that run "OFF" and the counts together
("OFF123 456 0") are read; faces' colours may be missing in places.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from resect.data.mesh.build import build, check_counts
from resect.data.mesh.polygons import color_faces, color_range, fan
from resect.data.mesh.text import indices, numbers, ragged, table
from resect.errors import ResectError
from resect.geometry.mesh import Material, Mesh

HEADER = re.compile(rb"(ST)?(C)?(N)?OFF(?![A-Za-z])")

_AGAIN = "The file is cut short or damaged; export it again."
Maybe = Float[np.ndarray, "v k"] | None


def read_off(data: bytes, path: Path) -> Mesh:
    """The mesh in the bytes of an OFF file."""
    numbered = [(n, line.partition(b"#")[0].strip()) for n, line in enumerate(data.splitlines(), 1)]
    numbered = [(n, line) for n, line in numbered if line]
    header = HEADER.match(numbered[0][1]) if numbered else None
    if header is None:
        raise ResectError(path, "OFF in the first line", "something else", _AGAIN)
    st, c, n = (g is not None for g in header.groups())
    rest = numbered[0][1][header.end() :].strip()
    body = [(numbered[0][0], rest)] if rest else []
    body += numbered[1:]
    counts = numbers(body[0][1], f"{path}, line {body[0][0]}") if body else np.empty(0)
    if len(counts) < 2 or not (counts >= 0).all() or not (counts < 1e12).all():
        raise ResectError(path, "numbers of vertices and faces", repr(rest.decode(errors="replace")[:40]), _AGAIN)
    vertex_count, face_count = int(counts[0]), int(counts[1])
    check_counts(path, vertex_count, face_count)
    rows = body[1 : 1 + vertex_count + face_count]
    if len(rows) < vertex_count + face_count:
        got = f"{len(rows)} lines"
        fix = "The file is cut short; copy it again."
        raise ResectError(path, f"{vertex_count} vertices and {face_count} faces, one a line", got, fix)
    lines = np.array([n for n, _ in rows])
    text = [line for _, line in rows]
    vertices, normals, colors, uv = _vertices(text[:vertex_count], lines[:vertex_count], (n, c, st), path)
    faces, materials, face_material, mean = _faces(text[vertex_count:], lines[vertex_count:], vertex_count, path)
    return build(
        path,
        vertices,
        faces,
        colors=mean if colors is None else colors,
        normals=normals,
        uv=uv,
        uv_faces=None if uv is None else faces,
        face_material=face_material,
        materials=materials,
    )


def _vertices(
    rows: list[bytes], lines: Int[np.ndarray, "v"], has: tuple[bool, bool, bool], path: Path
) -> tuple[Float[np.ndarray, "v 3"], Maybe, Maybe, Maybe]:
    """Positions; normals, colours and texture coordinates where the header names them, in this order."""
    values, width = table(rows, 12, path, lines)
    least = int(width.min())
    if least < 3:
        raise ResectError(f"{path}, line {lines[width.argmin()]}", "x, y and z", f"{least} numbers", _AGAIN)
    has_normals, has_colors, has_uv = has
    place = 3
    normals = colors = uv = None
    if has_normals:
        normals, place = values[:, place : place + 3], place + 3
    if has_uv:
        uv = values[:, least - 2 : least]
    left = least - place - (2 if has_uv else 0)
    bare = least in (6, 7) and not has_normals and not has_uv  # colours that the header forgets
    if bare or (has_colors and left >= 3):
        colors = color_range(values[:, place : place + 3])
    return values[:, :3], normals, colors, uv


def _faces(
    rows: list[bytes], lines: Int[np.ndarray, "p"], vertices: int, path: Path
) -> tuple[Int[np.ndarray, "t 3"], tuple[Material, ...], Int[np.ndarray, "t"] | None, Float[np.ndarray, "v 3"] | None]:
    """Triangles, and the colours of faces that have one."""
    flat, width = ragged(rows, path, lines)
    begin = width.cumsum() - width
    corners = indices(flat[begin])
    wrong = np.flatnonzero((corners < 1) | (corners > width - 1))
    if len(wrong):
        got = repr(rows[wrong[0]].decode(errors="replace")[:40])
        raise ResectError(f"{path}, line {lines[wrong[0]]}", "a number of corners and as many indices", got, _AGAIN)
    step = np.arange(int(corners.sum())) - np.repeat(corners.cumsum() - corners, corners)
    index = indices(flat[np.repeat(begin + 1, corners) + step])
    corner, polygon = fan(corners)
    faces = index[corner]
    colored = width - corners - 1 >= 3
    if not colored.any() or not len(faces):
        return faces, (Material(),), None, None
    place = np.where(colored, begin + corners + 1, 0)[:, None] + np.arange(3)
    colors = np.where(colored[:, None], flat[place], np.nan)
    return (faces, *color_faces(color_range(colors)[polygon], faces, vertices))
