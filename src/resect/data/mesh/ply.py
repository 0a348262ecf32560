"""PLY: the Stanford triangle format, text or binary, as scanners, MeshLab and BOP write it.

A header names elements ("vertex", "face") and their properties; then come the values, in that order. Pictures are named
by comments "TextureFile", as MeshLab does. The format knows no unit: BOP's files are in millimetres, others in metres.

Source: G. Turk, "The PLY Polygon File Format", 1994.
"""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from resect.data.mesh.build import build, check_counts
from resect.data.mesh.ply_body import Columns, Element, Lists, Property, read_body
from resect.data.mesh.polygons import color_faces, color_range, fan
from resect.data.mesh.text import indices
from resect.data.mesh.texture import Textures
from resect.errors import ResectError
from resect.geometry.mesh import Material, Mesh

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "float32": "f4", "double": "f8", "float64": "f8"},
}
_FULL = {"u1": 255.0, "u2": 65535.0}
_UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"))
_COLOR_NAMES = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
_MAX_HEADER = 2**16
_MOST_DIGITS = 12
_AGAIN = "The file is damaged, or no mesh; export it again."


def read_ply(data: bytes, path: Path) -> Mesh:
    """The mesh in the bytes of a PLY file; `path` is for its textures and for errors."""
    end, kind, elements, pictures = _header(data, path)
    body = read_body(data[end:], kind, elements, path)
    vertex, face = body.get("vertex", {}), body.get("face", {})
    check_counts(path, *(next((e.count for e in elements if e.name == n), 0) for n in ("vertex", "face")))
    vertices = _columns(vertex, (("x", "y", "z"),))
    if vertices is None:
        raise ResectError(path, "properties x, y and z of the vertices", ", ".join(vertex) or "none", _AGAIN)
    polygons = face.get("vertex_indices", face.get("vertex_index"))
    if not isinstance(polygons, Lists):
        fix = "Points alone cannot be rendered; export the surface."
        raise ResectError(path, "a list 'vertex_indices' of the faces", ", ".join(face) or "none", fix)
    corner, polygon = fan(polygons.count)
    faces = indices(polygons.values[corner].astype(np.float64))
    uv, uv_faces, notes = _texture_coordinates(vertex, face, polygons, corner, faces)
    textures = Textures(path.parent)
    materials, face_material, mean = _materials(face, elements, pictures, textures, polygon, faces, len(vertices))
    colors = _colors(vertex, elements, "vertex")
    return build(
        path,
        vertices,
        faces,
        colors=mean if colors is None else colors,
        normals=_columns(vertex, (("nx", "ny", "nz"),)),
        uv=uv,
        uv_faces=uv_faces,
        face_material=face_material,
        materials=materials,
        notes=(*textures.notes, *notes),
    )


def _header(data: bytes, path: Path) -> tuple[int, str, list[Element], list[str]]:
    """Where the body begins, how it is written, its elements, and the names of pictures."""
    found = re.search(rb"(?m)^end_header[ \t]*(\r\n|\n|\r)", data[:_MAX_HEADER])
    if found is None:
        raise ResectError(path, "a line 'end_header'", "none", "The file is cut short or damaged; copy it again.")
    kind, elements, pictures = "", [], []
    for line in data[: found.start()].decode("latin-1").splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            kind = words[1] if len(words) > 1 else ""
        elif words[:2] == ["comment", "TextureFile"]:
            pictures.append(line.split(None, 2)[2].strip() if len(words) > 2 else "")
        elif words[:1] == ["element"]:
            elements.append(_element(words, path))
        elif words[:1] == ["property"]:
            if not elements:
                raise ResectError(path, "an element before its properties", repr(line), _AGAIN)
            elements[-1].properties.append(_property(words, path))
    if kind not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise ResectError(path, "format ascii, binary_little_endian or binary_big_endian", repr(kind), _AGAIN)
    return found.end(), kind, elements, [p.encode("latin-1").decode("utf-8", "replace") for p in pictures]


def _element(words: list[str], path: Path) -> Element:
    if len(words) != 3 or not words[2].isdecimal() or len(words[2]) > _MOST_DIGITS:
        expected = f"'element NAME COUNT', a count of at most {_MOST_DIGITS} digits"
        raise ResectError(path, expected, repr(" ".join(words)[:80]), _AGAIN)
    return Element(words[1], int(words[2]), [])


def _property(words: list[str], path: Path) -> Property:
    scalar = len(words) == 3 and words[1] in _TYPES
    listed = len(words) == 5 and words[1] == "list" and words[2] in _TYPES and words[3] in _TYPES
    if not scalar and not listed:
        expected = "'property TYPE NAME' or 'property list TYPE TYPE NAME'"
        raise ResectError(path, expected, repr(" ".join(words)[:80]), _AGAIN)
    return Property(words[-1], _TYPES[words[-2]], _TYPES[words[2]] if listed else None)


def _columns(values: Columns, names: tuple[tuple[str, ...], ...]) -> Float[np.ndarray, "n k"] | None:
    """The first of several sets of scalar properties that is there as a whole."""
    for some in names:
        found = [values.get(name) for name in some]
        arrays = [x for x in found if isinstance(x, np.ndarray)]
        if len(arrays) == len(some):
            return np.stack(arrays, 1).astype(np.float64)
    return None


def _colors(values: Columns, elements: list[Element], element: str) -> Float[np.ndarray, "n 3"] | None:
    found = _columns(values, _COLOR_NAMES)
    if found is None:
        return None
    types = {p.name: p.type for e in elements if e.name == element for p in e.properties}
    red = next(names[0] for names in _COLOR_NAMES if all(n in types for n in names))
    return color_range(found, _FULL.get(types[red]))


def _texture_coordinates(
    vertex: Columns, face: Columns, polygons: Lists, corner: Int[np.ndarray, "t 3"], faces: Int[np.ndarray, "t 3"]
) -> tuple[Float[np.ndarray, "n 2"] | None, Int[np.ndarray, "t 3"] | None, tuple[str, ...]]:
    """Those of the faces' corners, or else those of the vertices."""
    listed = face.get("texcoord")
    if isinstance(listed, Lists):
        if np.array_equal(listed.count, 2 * polygons.count):
            return listed.values.astype(np.float64).reshape(-1, 2), corner, ()
        if listed.count.any():
            return None, None, ("texture coordinates of some faces are missing: none is used",)
    found = _columns(vertex, _UV_NAMES)
    return (None, None, ()) if found is None else (found, faces, ())


def _materials(
    face: Columns,
    elements: list[Element],
    pictures: list[str],
    textures: Textures,
    polygon: Int[np.ndarray, "t"],
    faces: Int[np.ndarray, "t 3"],
    vertices: int,
) -> tuple[tuple[Material, ...], Int[np.ndarray, "t"] | None, Float[np.ndarray, "v 3"] | None]:
    """One a picture, then those of faces without picture: their colours, or, when many, these colours at vertices."""
    colors = _colors(face, elements, "face")
    plain: tuple[Material, ...] = (Material(),)
    of_face = mean = None
    if colors is not None and len(faces):
        plain, of_face, mean = color_faces(colors[polygon], faces, vertices)
    if not pictures:
        return plain, of_face, mean
    found = tuple(Material((1.0, 1.0, 1.0), textures.read(name), name) for name in pictures)
    found = tuple(m if m.texture is not None else Material(name=m.name) for m in found)
    number = face.get("texnumber")
    picture = indices(number[polygon].astype(np.float64)) if isinstance(number, np.ndarray) else np.zeros_like(polygon)
    bare = (picture < 0) | (picture >= len(found))  # MeshLab writes -1 for "no texture"
    rest = np.zeros_like(polygon) if of_face is None else of_face
    return found + plain, np.where(bare, len(found) + rest, picture), None
