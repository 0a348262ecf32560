"""Whole photos of the blobs of `blobs`, which stand anywhere in front of a known camera; nothing says where."""

from functools import cache

import torch
from tests.priors.rotations.blobs import ENDS
from torch import Tensor

from resect.data.rotation_set import RotationSet
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.types import Photo, Target

CAMERA = Camera(48.0, 48.0, 24.0, 16.0, 48, 32)


def draw(rotation: Tensor, position: Tensor, camera: Camera = CAMERA) -> Tensor:
    """(h, w, 3): discs of radius 0.25 on the ends of the object's axes, nearer ones brighter."""
    ends = ENDS @ rotation.mT + position
    pixels = camera.pixels(dtype=torch.float64)
    seen, _ = camera.project(ends)
    near = (pixels[None] - seen[:, None]).norm(dim=-1) * ends[:, 2:] / (0.25 * camera.fx)
    blob = (-near.square()).exp() * (0.65 - 0.3 * (ends[:, 2:] - position[2]))
    colour = torch.cat([torch.eye(3), 1 - torch.eye(3)]).double()
    return torch.einsum("kp,kc->pc", blob, colour).clamp(0, 1).float().view(camera.height, camera.width, 3)


@cache
def placed(count: int = 16, seed: int = 0) -> RotationSet:
    """Random rotations, 4 to 8 units away."""
    g = torch.Generator().manual_seed(seed)
    rotation = so3.random(count, generator=g, dtype=torch.float64)
    depth = 4 + 4 * torch.rand(count, 1, generator=g, dtype=torch.float64)
    beside = (torch.rand(count, 2, generator=g, dtype=torch.float64) - 0.5) * torch.tensor([0.5, 0.25])
    position = torch.cat([beside * depth, depth], 1)
    names = tuple(f"{i}.png" for i in range(count))

    def load(i: int) -> Photo:
        return Photo(names[i], draw(rotation[i], position[i]), CAMERA, "made", Target("thing", category="thing"))

    return RotationSet("placed", names, ("thing",) * count, rotation, load, translation=position)
