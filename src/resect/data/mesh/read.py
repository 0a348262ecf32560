"""Mesh files, told apart by their content, never by their name alone."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from resect.data.mesh.build import MAX_BYTES
from resect.data.mesh.obj import read_obj
from resect.data.mesh.off import HEADER, read_off
from resect.data.mesh.ply import read_ply
from resect.errors import ResectError
from resect.geometry.mesh import Mesh

SUFFIXES = (".ply", ".obj", ".off", ".stl", ".glb", ".gltf")
_OBJ_LINE = re.compile(rb"(?m)^[ \t]*(v|vn|vt|f|o|g|s|usemtl|mtllib)[ \t]+\S")
_FOREIGN = (
    (b"Kaydara FBX", "FBX"),
    (b"BLENDER", "a Blender file"),
    (b"PXR-USDC", "USD"),
    (b"#usda", "USD"),
    (b"PK\x03\x04", "a ZIP archive (3MF, USDZ …)"),
    (b"version https://git-lfs", "a Git LFS pointer; 'git lfs pull' gets the file itself"),
)


def read_mesh(path: Path | str, *, meters_per_unit: float | None = None) -> Mesh:
    """The triangles of a PLY, OBJ (with MTL), OFF, STL, GLB or glTF file, in its own frame and units.

    Polygons become fans of triangles. Nothing is moved, rescaled or repaired; what was not used is said in `notes`.

    Args:
        path: the file; its materials and pictures are looked for in its folder, nowhere else.
        meters_per_unit: length of one unit in metres. A mesh file does not say it, and it is not guessed: `None` is
            unknown, but for GLB and glTF, which are in metres by definition.

    Raises:
        ResectError: no file, too large, not a mesh, cut short, no faces, positions not finite, indices out of range.
    """
    path = Path(path)
    if meters_per_unit is not None and not (math.isfinite(meters_per_unit) and meters_per_unit > 0):
        raise ResectError("meters_per_unit", "a positive number", str(meters_per_unit))
    if not path.is_file():
        raise ResectError(path, "a mesh file", "a folder" if path.is_dir() else "no file", "Check the path.")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ResectError(path, f"at most {MAX_BYTES >> 20} MB", f"{size >> 20} MB", "Simplify it first.")
    data = path.read_bytes()
    mesh = _reader(data, path)(data, path)
    if meters_per_unit is None:
        meters_per_unit = mesh.meters_per_unit
    return replace(mesh, name=path.name, meters_per_unit=meters_per_unit)


def _reader(data: bytes, path: Path) -> Callable[[bytes, Path], Mesh]:
    start = data[:65536].removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"ply[ \t]*[\r\n]", data):
        return read_ply
    if data.startswith(b"glTF") or _is_gltf(start, data):
        from resect.data.mesh.foreign import read_gltf

        return read_gltf
    if _is_stl(start, data):
        from resect.data.mesh.foreign import read_stl

        return read_stl
    if HEADER.match(start) or (start.startswith(b"#") and re.search(rb"(?m)^[ \t]*(ST)?C?N?OFF\b", start)):
        return read_off
    if _OBJ_LINE.search(start):
        return read_obj
    expected = "a PLY, OBJ, OFF, STL, GLB or glTF mesh"
    known = next((name for mark, name in _FOREIGN if data.startswith(mark)), None)
    if known is None and b"<COLLADA" in start:
        known = "COLLADA"
    fix = "Save it as OBJ, PLY or GLB, with Blender or MeshLab." if known else "Copy it again, or check the path."
    raise ResectError(path, expected, known or ("an empty file" if not data else "something else"), fix)


def _is_gltf(start: bytes, data: bytes) -> bool:
    if not start.startswith(b"{") or b'"asset"' not in data:
        return False
    try:
        return "asset" in json.loads(data)
    except (ValueError, RecursionError):
        return False


def _is_stl(start: bytes, data: bytes) -> bool:
    """A binary one has 80 bytes of anything, the number of faces, and 50 bytes for each; a text one says "solid"."""
    if len(data) >= 84 and len(data) == 84 + 50 * int.from_bytes(data[80:84], "little"):
        return True
    return start.startswith(b"solid") and b"facet" in start
