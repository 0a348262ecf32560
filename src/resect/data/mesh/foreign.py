"""STL, GLB and glTF, through trimesh (an extra). What it returns is checked like any other mesh."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.image import resize_area
from resect.data.mesh.build import MAX_COUNT, build, check_counts
from resect.data.mesh.texture import MAX_SIDE
from resect.errors import NotInstalledError, ResectError
from resect.geometry.mesh import Material, Mesh
from resect.geometry.mesh_edit import concatenated


def read_stl(data: bytes, path: Path) -> Mesh:
    """An STL file; corners at the same place become one vertex."""
    scene = _scene(data, path, "stl")
    return concatenated([build(path, *_arrays(g, np.eye(4))) for g in scene.geometry.values()] or [_empty(path)])


def read_gltf(data: bytes, path: Path) -> Mesh:
    """A GLB or glTF file, in metres by definition: every instance of every mesh, where its node puts it.

    Base colours and base textures are shown; metal, roughness, emission and transparency are not.
    """
    _check_claims(data, path)
    scene = _scene(data, path, "glb" if data.startswith(b"glTF") else "gltf")
    nodes = [(scene.graph[name][0], scene.geometry[scene.graph[name][1]]) for name in scene.graph.nodes_geometry]
    nodes = [(matrix, g) for matrix, g in nodes if hasattr(g, "faces")]
    check_counts(path, sum(len(g.vertices) for _, g in nodes), sum(len(g.faces) for _, g in nodes))
    mesh = concatenated([_instance(g, np.asarray(matrix), path) for matrix, g in nodes])
    return Mesh(**{**vars(mesh), "meters_per_unit": 1.0})


def _instance(geometry: Any, matrix: Float[np.ndarray, "4 4"], path: Path) -> Mesh:
    vertices, faces = _arrays(geometry, matrix)
    visual = geometry.visual
    uv = getattr(visual, "uv", None)
    material = getattr(visual, "material", None)
    colors = np.asarray(visual.vertex_colors)[:, :3] / 255.0 if visual.kind == "vertex" else None
    return build(
        path,
        vertices,
        faces,
        colors=colors,
        uv=None if uv is None else np.asarray(uv, np.float64)[:, :2],
        uv_faces=None if uv is None else faces,
        materials=(Material() if material is None else _material(material),),
    )


def _arrays(geometry: Any, matrix: Float[np.ndarray, "4 4"]) -> tuple[np.ndarray, np.ndarray]:
    vertices = np.asarray(geometry.vertices, np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    faces = np.asarray(geometry.faces, np.int64)
    mirrored = np.linalg.det(matrix[:3, :3]) < 0
    return vertices, faces[:, ::-1] if mirrored else faces


def _material(material: Any) -> Material:
    """Its base colour, which glTF gives in linear light, and its base texture, which is sRGB like all pictures here."""
    image = getattr(material, "baseColorTexture", None)
    factor = getattr(material, "baseColorFactor", None)
    linear = np.ones(3) if factor is None else np.asarray(factor, np.float64)[:3] / 255.0
    color = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).clip(0, 1)
    r, g, b = color.tolist()
    return Material((r, g, b), None if image is None else _picture(image), str(getattr(material, "name", "") or ""))


def _picture(image: Any) -> Float[Tensor, "h w 3"]:
    scale = min(1.0, MAX_SIDE / max(image.size))
    texture = torch.from_numpy(np.asarray(image.convert("RGB"), np.float32) / np.float32(255))
    return resize_area(texture, max(1, round(image.width * scale)), max(1, round(image.height * scale)))


def _check_claims(data: bytes, path: Path) -> None:
    """Numbers of values that the file announces; they would be believed, and memory allocated, before they are read."""
    try:
        text = data[20 : 20 + int.from_bytes(data[12:16], "little")] if data.startswith(b"glTF") else data
        counts = [int(a["count"]) for a in json.loads(text).get("accessors", [])]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResectError(path, "the JSON of a glTF file", str(error) or type(error).__name__) from None
    if counts and not 0 <= min(counts) <= sum(counts) <= 10 * MAX_COUNT:
        raise ResectError(path, f"at most {10 * MAX_COUNT} values", f"{max(counts)} in one accessor")


def _scene(data: bytes, path: Path, kind: str) -> Any:
    try:
        import trimesh
        from trimesh.resolvers import FilePathResolver
    except ImportError:
        raise NotInstalledError("trimesh", "mesh", f"reading {kind.upper()} files") from None
    try:  # pictures and buffers come from the mesh's folder only
        return trimesh.load_scene(BytesIO(data), file_type=kind, resolver=FilePathResolver(str(path)))
    except Exception as error:  # whatever a damaged file makes of a foreign reader
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise ResectError(path, f"a whole {kind.upper()} file", reason, "Copy or export it again.") from None


def _empty(path: Path) -> Mesh:
    raise ResectError(path, "a surface of triangles", "none", "Export the surface, not points or lines alone.")
