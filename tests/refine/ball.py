"""A closed-form scene for the tests of this room: the inside of a ball with smooth random colours, in three guises."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Channel, Photo, Render


@dataclass(frozen=True, eq=False)
class Ball:
    """Seen from inside; differentiable through PyTorch.

    Attributes:
        radius: of the ball.
        waves: frequency of the texture, radians per unit.
        seed: of the texture.
    """

    radius: float = 2.0
    waves: float = 3.0
    seed: int = 0
    forward_differentiable: bool = True
    channels: tuple[Channel, ...] = ("rgb", "depth", "alpha")
    code_dim: int = 0

    @property
    def bounds(self) -> Tensor:
        return self.radius * torch.tensor([[-1.0, -1, -1], [1, 1, 1]])

    def colour(self, points: Tensor) -> Tensor:
        k, phase = _texture(self.seed)
        k = k * self.waves
        angle = torch.einsum("...x,cwx->...cw", points, k.to(points)) + phase.to(points)
        return 0.5 + 0.12 * angle.sin().sum(-1) / 12**0.5 * 2

    def distance(self, origins: Tensor, directions: Tensor) -> Tensor:
        along = (origins * directions).sum(-1)
        unit = (directions * directions).sum(-1)
        inside = self.radius**2 - (origins * origins).sum(-1)
        return (-along + (along * along + unit * inside).sqrt()) / unit

    def observe(self, photo: Photo, camera: Camera) -> Render:
        planes = photo.image.movedim(-1, 0)[None]
        small = torch.nn.functional.interpolate(planes, size=(camera.height, camera.width), mode="area")
        return Render(rgb=small[0].movedim(0, -1).reshape(1, -1, 3))

    def render(self, camera: Camera, cam_from_world: SE3, want=("rgb",), pixels=None, code=None) -> Render:
        px = camera.pixels().to(cam_from_world.t) if pixels is None else pixels.to(cam_from_world.t)
        rays = camera.rays(px)
        d = rays @ cam_from_world.R
        o = cam_from_world.center[:, None].expand_as(d)
        t = self.distance(o, d)
        rgb = self.colour(o + t[..., None] * d)
        return Render(rgb=rgb, depth=t * rays[:, 2], alpha=torch.ones_like(t))

    def lod(self, pixel_rad: float, distance: float | None = None) -> "Ball":
        return self


@dataclass(frozen=True, eq=False)
class RayBall(Ball):
    """The same with a Jacobian per ray."""

    forward_differentiable: bool = False

    def ray_jacobian(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        t = self.distance(origins, directions)[..., None]
        points = origins + t * directions
        k, phase = (x.to(origins) for x in _texture(self.seed))
        k = self.waves * k
        angle = torch.einsum("nx,cwx->ncw", points, k) + phase
        by_point = torch.einsum("ncw,cwx->ncx", angle.cos(), k) * (0.24 / 12**0.5)
        along = (points * directions).sum(-1)[:, None, None]
        carried = (by_point @ directions[..., None]) * points[:, None] / along
        by_origin = by_point - carried
        return 0.5 + 0.24 / 12**0.5 * angle.sin().sum(-1), by_origin, by_origin * t[..., None]


@dataclass(frozen=True, eq=False)
class BlackBall(Ball):
    """The same as a black box: rgb and depth only."""

    forward_differentiable: bool = False


@lru_cache
def _texture(seed: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    k = torch.randn(3, 12, 3, generator=g, dtype=torch.float64)
    return k, torch.rand(3, 12, generator=g, dtype=torch.float64) * 2 * math.pi


CAMERA = Camera(60.0, 62.0, 31.0, 23.0, 64, 48)


def pose(seed: int = 0, dtype: torch.dtype = torch.float64) -> SE3:
    g = torch.Generator().manual_seed(seed)
    return SE3.exp(0.5 * torch.randn(6, generator=g, dtype=torch.float64)).to(dtype)


def photograph(scene: Ball, cam_from_world: SE3, camera: Camera = CAMERA, noise: float = 0.0, seed: int = 0) -> Photo:
    rgb = scene.render(camera, cam_from_world[None]).rgb
    image = rgb.reshape(camera.height, camera.width, 3)
    g = torch.Generator().manual_seed(seed)
    image = image + noise * torch.randn(image.shape, generator=g, dtype=torch.float64).to(image)
    return Photo("ball.png", image.float(), camera, "test")


def error(a: SE3, b: SE3) -> tuple[float, float]:
    """Rotation in degrees and distance of the centres."""
    from resect.geometry import so3

    turn = so3.angle(a.double().R, b.double().R).item()
    return math.degrees(turn), (a.double().center - b.double().center).norm().item()
