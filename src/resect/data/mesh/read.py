"""Mesh files, by their content."""

from pathlib import Path

from resect.geometry.mesh import Mesh


def read_mesh(path: Path | str, *, meters_per_unit: float | None = None) -> Mesh:
    """The triangles of a mesh file."""
    raise NotImplementedError
