"""A coloured block on a floor, as a mesh, photographed from known places."""

import math

import torch

from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.scenes.mesh.scene import MeshScene
from resect.types import Photo

CAMERA = Camera(120.0, 120.0, 48.0, 36.0, 96, 72)
SIZE = torch.tensor([0.6, 0.4, 0.9])


def block() -> Mesh:
    """An L-shaped block: no symmetry; each face of another colour, none like the floor's."""
    parts = [((0.0, 0.0, 0.0), (0.6, 0.4, 0.4)), ((0.0, 0.0, 0.4), (0.25, 0.4, 0.9))]
    sides = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    paint = torch.tensor(
        [[0.1, 0.3, 0.8], [0.1, 0.7, 0.3], [0.2, 0.2, 0.2], [0.1, 0.5, 0.6], [0.4, 0.4, 0.9], [0, 0.9, 0.5]]
    )
    vertices, faces, colors = [], [], []
    for low, high in parts:
        corner = torch.tensor([[(low, high)[i >> (2 - a) & 1][a] for a in range(3)] for i in range(8)])
        for k, side in enumerate(sides):
            first = sum(len(v) for v in vertices)
            vertices.append(corner[list(side)])
            faces += [[first, first + 2, first + 1], [first, first + 3, first + 2]]
            colors.append(paint[k].expand(4, 3))
    return Mesh(torch.cat(vertices) - SIZE / 2 * torch.tensor([1.0, 1, 0]), torch.tensor(faces), torch.cat(colors))


def ring(count: int, turn_deg: float = 40.0, radius: float = 2.2, height: float = 1.0) -> SE3:
    a = torch.linspace(0.4, 0.4 + math.radians(turn_deg), count, dtype=torch.float64)
    centers = torch.stack([radius * a.cos(), radius * a.sin(), torch.full_like(a, height)], -1)
    return look_at(centers, torch.tensor([0.0, 0.0, 0.45], dtype=torch.float64).expand(count, 3))


def photograph(cam_from_world: SE3, name: str = "0", floor: tuple[float, float, float] = (0.8, 0.6, 0.5)) -> Photo:
    shown = MeshScene(block(), background=floor).render(CAMERA, cam_from_world[None].float(), ("rgb",)).rgb
    assert shown is not None
    g = torch.Generator().manual_seed(int(name))
    image = shown.reshape(CAMERA.height, CAMERA.width, 3) + 0.01 * torch.randn(
        CAMERA.height, CAMERA.width, 3, generator=g
    )
    return Photo(name, image.clamp(0, 1), CAMERA, "test")


def opacity(cam_from_world: SE3) -> torch.Tensor:
    alpha = MeshScene(block()).render(CAMERA, cam_from_world[None].float(), ("alpha",)).alpha
    assert alpha is not None
    return alpha.reshape(CAMERA.height, CAMERA.width)
