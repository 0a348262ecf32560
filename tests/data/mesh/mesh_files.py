"""Mesh files for the tests, and the real ones."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.geometry import solids
from resect.geometry.mesh import Material, Mesh


def real(*parts: str) -> Path:
    """A file of the real meshes, or a skipped test."""
    root = os.environ.get("RESECT_TEST_DATA")
    if not root or not Path(root, *parts).exists():
        pytest.skip(f"RESECT_TEST_DATA does not point at data with {'/'.join(parts)}")
    return Path(root, *parts)


def colored_sphere() -> Mesh:
    """A sphere whose colour and normal follow its position."""
    sphere = solids.icosphere(0.5, 2)
    colors = ((sphere.vertices + 0.5) * 255).round() / 255
    return replace(sphere, colors=colors, normals=sphere.vertices / 0.5)


def textured_cube() -> Mesh:
    """A cube of three materials: two textures and a plain colour; coordinates of their own for each corner."""
    generator = torch.Generator().manual_seed(5)
    cube = solids.cube(2.0)
    textures = [(torch.rand(8, 12, 3, generator=generator) * 255).round() / 255 for _ in range(2)]
    return replace(
        cube,
        uv=torch.rand(36, 2, generator=generator),
        uv_faces=torch.arange(36).view(12, 3),
        face_material=torch.tensor([0, 1, 2] * 4),
        materials=(
            Material((1.0, 1.0, 1.0), textures[0], "front side"),
            Material((0.2, 0.4, 0.6), None, "plain"),
            Material((1.0, 1.0, 1.0), textures[1], "back"),
        ),
    )


def assert_same(found: Mesh, expected: Mesh) -> None:
    """Everything that can be seen is the same; indices of coordinates and materials may be numbered anew."""
    torch.testing.assert_close(found.vertices, expected.vertices.float(), rtol=0, atol=0)
    assert torch.equal(found.faces, expected.faces)
    for name in ("colors", "normals"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None), name
        if one is not None:
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    if expected.uv is None or expected.uv_faces is None:
        assert found.uv is None
        return
    assert found.uv is not None
    assert found.uv_faces is not None
    textured = torch.tensor([m.texture is not None for m in expected.materials])[material_of(expected)]
    torch.testing.assert_close(
        found.uv[found.uv_faces][textured], expected.uv[expected.uv_faces][textured], rtol=0, atol=1e-6
    )
    for face in range(len(expected.faces)):
        one = found.materials[material_of(found)[face]]
        other = expected.materials[material_of(expected)[face]]
        assert one.color == pytest.approx(other.color, abs=0.002)
        assert (one.texture is None) == (other.texture is None)
        if one.texture is not None and other.texture is not None:
            torch.testing.assert_close(one.texture, other.texture, rtol=0, atol=1e-6)


def material_of(mesh: Mesh) -> torch.Tensor:
    return mesh.faces.new_zeros(len(mesh.faces)) if mesh.face_material is None else mesh.face_material
