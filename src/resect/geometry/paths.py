"""Paths of cameras for films: a spiral for captures that look ahead, a circle around what is looked at."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3


def spiral(cam_from_world: SE3, focus: float, count: int, *, turns: float = 2.0) -> SE3:
    """Cameras on a spiral within the spread of given ones, looking at one point before their middle.

    With θ from 0 to 2π·turns the centre is (rx cos θ, ry sin θ, rz sin(θ/2)) in the axes of the mean camera, r the 90th
    percentile of the given centres' coordinates: the path of the original NeRF for forward-facing captures.

    Args:
        cam_from_world: given cameras, which look about the same way.
        focus: distance of the point from their middle, world units.
        count: cameras on the path.
        turns: of the spiral.
    """
    poses = cam_from_world.double()
    mean = so3.nearest_rotation(poses.R.mean(0))
    middle = poses.center.mean(0)
    reach = ((poses.center - middle) @ mean.mT).abs().quantile(0.9, dim=0)
    theta = torch.linspace(0, 2 * math.pi * turns, count + 1, dtype=torch.float64)[:count]
    local = torch.stack([theta.cos(), theta.sin(), -(theta / 2).sin()], -1) * reach
    target = middle + focus * mean[2]
    return look_at(local @ mean + middle, target.expand(count, 3), -mean[1])


def orbit(cam_from_world: SE3, target: Float[Tensor, "3"], up: Float[Tensor, "3"], count: int) -> SE3:
    """Cameras on a circle about an axis through a point, as far and as high as given ones in the mean, looking at it.

    Args:
        cam_from_world: given cameras.
        target: what is looked at, world units.
        up: unit axis.
        count: cameras on the circle.
    """
    centers, point, axis = cam_from_world.double().center, target.double(), up.double()
    height = (centers - point) @ axis
    across = centers - point - height[:, None] * axis
    radius = across.norm(dim=-1).mean()
    first = torch.nn.functional.normalize(across[across.norm(dim=-1).argmax()], dim=0)
    second = torch.linalg.cross(axis, first)
    theta = torch.linspace(0, 2 * math.pi, count + 1, dtype=torch.float64)[:count, None]
    eyes = point + height.mean() * axis + radius * (theta.cos() * first + theta.sin() * second)
    return look_at(eyes, point.expand(count, 3), axis)
