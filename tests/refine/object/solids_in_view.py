"""Coloured solids before a textured wall, with known poses."""

import math

import torch

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.solids import box
from resect.scenes.mesh.scene import MeshScene
from resect.types import Photo

CAMERA = Camera(300.0, 300.0, 80.0, 60.0, 160, 120)


def painted() -> MeshScene:
    """An L of two boxes, its corners coloured: no two views of it are alike."""
    first, second = box((60.0, 30.0, 20.0)), box((20.0, 30.0, 60.0))
    vertices = torch.cat([first.vertices, second.vertices + torch.tensor([20.0, 0.0, 40.0])])
    faces = torch.cat([first.faces, second.faces + len(first.vertices)])
    colors = 0.15 + 0.7 * torch.rand(len(vertices), 3, generator=torch.Generator().manual_seed(1))
    return MeshScene(Mesh(vertices, faces, colors), antialias=False)


def pose(seed: int = 0, distance: float = 300.0) -> SE3:
    turn = so3.exp(2 * torch.randn(3, generator=torch.Generator().manual_seed(seed)))
    return SE3(turn[None], torch.tensor([[5.0, -8.0, distance]]))


def wall(seed: int = 0) -> torch.Tensor:
    """Grey texture of several scales."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.full((1, 1, CAMERA.height, CAMERA.width), 0.5)
    for cells, strength in ((6, 0.12), (20, 0.08), (60, 0.04)):
        coarse = torch.randn(1, 1, cells, cells, generator=generator) * strength
        total = total + torch.nn.functional.interpolate(coarse, size=total.shape[2:], mode="bilinear")
    return total.clamp(0, 1)[0, 0, :, :, None].expand(-1, -1, 3)


def photograph(scene: MeshScene, at: SE3, *, gain: float = 1.0, seed: int = 0) -> Photo:
    """The scene before the wall, with another exposure than the mesh's colours."""
    shown = scene.render(CAMERA, at, ("rgb", "alpha"))
    alpha = shown.alpha.reshape(CAMERA.height, CAMERA.width, 1)
    image = gain * shown.rgb.reshape(CAMERA.height, CAMERA.width, 3) * alpha + wall(seed) * (1 - alpha)
    noise = 0.01 * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed + 1))
    return Photo("made", (image + noise).clamp(0, 1), CAMERA, "made")


def disturbed(at: SE3, degrees: float, shift: float, seed: int, center: torch.Tensor) -> SE3:
    """Turned about the object's middle and shifted."""
    axes = torch.nn.functional.normalize(torch.randn(2, 3, generator=torch.Generator().manual_seed(seed)), dim=1)
    turn = so3.exp(math.radians(degrees) * axes[0])
    middle = (at.R @ center[:, None])[..., 0] + at.t
    rotation = turn @ at.R
    return SE3(rotation, middle + shift * axes[1] - (rotation @ center[:, None])[..., 0])


def apart(a: SE3, b: SE3) -> tuple[float, float]:
    """Degrees, and distance of the origins in the camera's frame."""
    return math.degrees(float(so3.angle(a.R, b.R).max())), float((a.t - b.t).norm(dim=-1).max())
