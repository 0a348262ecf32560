"""Mesh files in and out: one small file a format."""

from resect.data.mesh.read import read_mesh
from resect.data.mesh.write import write_mesh, write_obj, write_ply

__all__ = ["read_mesh", "write_mesh", "write_obj", "write_ply"]
