"""How far rotations are off: by how far they move the points of an object (PoseLoss, ShapeMatch-Loss of PoseCNN)."""

import torch
from jaxtyping import Float
from torch import Tensor

_AT_ONCE = 1 << 24


def pose_loss(
    rotation: Float[Tensor, "n 3 3"], true: Float[Tensor, "n s 3 3"], points: Float[Tensor, "n m 3"]
) -> Float[Tensor, "n"]:
    """Mean distance that points are moved by the error, to the nearest of S equivalent rotations."""
    moved = (points @ rotation.mT)[:, None] - points[:, None] @ true.mT
    return moved.norm(dim=-1).mean(-1).amin(-1)


def shape_match_loss(
    rotation: Float[Tensor, "n 3 3"], true: Float[Tensor, "n 3 3"], points: Float[Tensor, "n m 3"]
) -> Float[Tensor, "n"]:
    """Mean distance from each turned point to the closest one of the truly turned object; for symmetric objects."""
    turned, truth = points @ rotation.mT, points @ true.mT
    many = max(1, _AT_ONCE // points.shape[1] ** 2)
    found = [torch.cdist(a, b).amin(-1).mean(-1) for a, b in zip(turned.split(many), truth.split(many), strict=True)]
    return torch.cat(found)
