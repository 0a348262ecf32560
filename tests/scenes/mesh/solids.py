"""Meshes and poses that the tests of the mesh scene share, and a brute force."""

from dataclasses import replace

import torch
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.solids import box, icosphere, torus


def coloured(mesh: Mesh) -> Mesh:
    return replace(mesh, colors=0.5 + 0.4 * torch.sin(2 * mesh.vertices + torch.tensor([0.0, 1.0, 2.0])))


def joined(one: Mesh, other: Mesh, shift: tuple[float, float, float]) -> Mesh:
    vertices = torch.cat([one.vertices, other.vertices + torch.tensor(shift, dtype=other.vertices.dtype)])
    return Mesh(vertices, torch.cat([one.faces, other.faces + len(one.vertices)]))


def ball(level: int = 2) -> Mesh:
    return coloured(icosphere(0.5, level, dtype=torch.float64))


def ring() -> Mesh:
    return coloured(torus(0.35, 0.15, 16, 8, dtype=torch.float64))


def ball_and_box(level: int = 1) -> Mesh:
    cut = box((0.4, 0.3, 0.5), dtype=torch.float64)
    return coloured(joined(icosphere(0.5, level, dtype=torch.float64), cut, (0.5, 0.1, 0.0)))


def views(count: int, distance: float = 1.8, seed: int = 0) -> SE3:
    """Poses all around that look a little past the middle."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1)
    return look_at(distance * direction, 0.1 * torch.randn(count, 3, generator=generator, dtype=torch.float64))


def nearest_face(
    mesh: Mesh, camera: Camera, cam_from_world: SE3, pixels: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(H, N) face and depth along the axis by intersecting every ray with every face (Möller and Trumbore, 1997)."""
    rays = camera.rays(camera.pixels(dtype=torch.float64) if pixels is None else pixels.double())
    faces, depths = [], []
    for pose in range(len(cam_from_world)):
        a, b, c = cam_from_world[pose].apply(mesh.vertices.double())[mesh.faces].unbind(1)
        across = torch.linalg.cross(rays[:, None].expand(-1, len(a), 3), (c - a).expand(len(rays), -1, 3))
        det = (across * (b - a)).sum(-1)
        u, q = (across * -a).sum(-1) / det, torch.linalg.cross(-a, b - a)
        v, t = rays @ q.T / det, (q * (c - a)).sum(-1) / det
        distance, face = torch.where((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0), t, torch.inf).min(1)
        faces.append(torch.where(distance.isfinite(), face, -1))
        depths.append(torch.where(distance.isfinite(), distance * rays[:, 2], 0.0))
    return torch.stack(faces), torch.stack(depths)
