"""Cameras that look at a point: one pose, a sphere of views, and the point a set of cameras looks at."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3


def look_at(center: Float[Tensor, "*b 3"], target: Float[Tensor, "*b 3"], up: Float[Tensor, "3"] | None = None) -> SE3:
    """`cam_from_world` of cameras at `center` whose optical axis passes through `target`.

    Args:
        center: camera centres, world units.
        target: points looked at; must differ from the centre.
        up: world direction that appears upwards in the image; default +z. Where it is parallel to the view, another
            axis stands in, so the result is always a rotation.
    """
    up_ = torch.tensor([0.0, 0.0, 1.0]) if up is None else up
    up_ = up_.to(center).expand(center.shape)
    z = torch.nn.functional.normalize(target - center, dim=-1)
    spare = torch.nn.functional.one_hot(z.abs().argmin(-1), 3).to(z)
    parallel = torch.linalg.cross(z, up_).norm(dim=-1, keepdim=True) < 1e-6 * up_.norm(dim=-1, keepdim=True)
    x = torch.nn.functional.normalize(torch.linalg.cross(z, torch.where(parallel, spare, up_)), dim=-1)
    rotation = torch.stack([x, torch.linalg.cross(z, x), z], -2)
    return SE3(rotation, -(rotation @ center[..., None])[..., 0])


def view_sphere(count: int, radius: float, *, rolls: int = 1, dtype: torch.dtype = torch.float32) -> SE3:
    """`count` × `rolls` cameras on a sphere about the origin, all looking at it, nearly uniform (Fibonacci lattice).

    Args:
        count: viewing directions.
        radius: distance from the origin, world units.
        rolls: turns about the optical axis, equally spaced over the circle.
    """
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * i / count
    phi = math.pi * (1 + math.sqrt(5)) * i
    rho = (1 - z * z).clamp_min(0).sqrt()
    centers = radius * torch.stack([rho * phi.cos(), rho * phi.sin(), z], -1)
    views = look_at(centers, torch.zeros_like(centers))
    roll = torch.arange(rolls, dtype=torch.float64) * (2 * math.pi / rolls)
    turn = so3.exp(torch.stack([torch.zeros_like(roll), torch.zeros_like(roll), roll], -1))
    rotation = (turn[None] @ views.R[:, None]).flatten(0, 1)
    translation = (turn[None] @ views.t[:, None, :, None])[..., 0].flatten(0, 1)
    return SE3(rotation.to(dtype), translation.to(dtype))


def nearest_point_to_axes(centers: Float[Tensor, "n 3"], axes: Float[Tensor, "n 3"]) -> Float[Tensor, "3"]:
    """The point with the least sum of squared distances to the lines centre + s·axis.

    For parallel axes the point is not determined along them; a slight pull to the mean centre keeps it finite.
    """
    a = torch.nn.functional.normalize(axes, dim=-1)
    across = torch.eye(3, dtype=a.dtype, device=a.device) - a[:, :, None] * a[:, None, :]
    pull = 1e-6 * len(centers) * torch.eye(3, dtype=a.dtype, device=a.device)
    right = (across @ centers[:, :, None]).sum(0)[:, 0] + pull @ centers.mean(0)
    return torch.linalg.solve(across.sum(0) + pull, right)
