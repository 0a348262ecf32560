"""Mesh files in and out: one small file a format."""

from resect.data.mesh.read import read_mesh

__all__ = ["read_mesh"]
