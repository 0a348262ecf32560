"""Pictures that show their rotation: coloured blobs at the ends of an object's axes, brighter in front."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from resect.data.rotation_set import RotationSet
from resect.geometry import so3
from resect.types import Photo, Target

SIDE = 32
ENDS = torch.cat([torch.eye(3), -torch.eye(3)]).double()


def draw(rotation: Tensor, side: int = SIDE) -> Tensor:
    """(b, side, side, 3): as seen without perspective, x right, y down, z forward."""
    cell = (torch.arange(side, dtype=torch.float64) + 0.5) * (2 / side) - 1
    y, x = torch.meshgrid(cell, cell, indexing="ij")
    ends = ENDS @ rotation.mT  # b, 6, 3
    near = torch.stack([x, y], -1)[None, None] - 0.7 * ends[:, :, None, None, :2]
    blob = (-near.square().sum(-1) / 0.03).exp() * (0.65 - 0.35 * ends[:, :, None, None, 2])
    colour = torch.cat([torch.eye(3), 1 - torch.eye(3)]).double()
    return torch.einsum("bkij,kc->bijc", blob, colour).clamp(0, 1).float()


@cache
def blobs(count: int = 24, seed: int = 0, names: tuple[str, ...] = ("thing",)) -> RotationSet:
    """Random rotations; two of each are told as equivalents: a half turn about the object's z axis too."""
    rotation = so3.random(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    images, turn = draw(rotation), torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
    categories = tuple(names[i % len(names)] for i in range(count))

    def load(index: int) -> Photo:
        target = Target(str(index), category=categories[index], box=(0.0, 0.0, float(SIDE), float(SIDE)))
        return Photo(str(index), images[index], target=target)

    def render(rows: Sequence[int]) -> Tensor:
        return images[list(rows)]

    return RotationSet(
        "blobs",
        tuple(str(i) for i in range(count)),
        categories,
        rotation,
        load,
        equivalents=lambda i: torch.stack([rotation[i], rotation[i] @ turn]),
        render=render,
    )
