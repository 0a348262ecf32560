"""The procedural room as a scene: closed form, so its colour, depth and derivatives are the oracle of every test."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.image import resize_area
from resect.data.procedural import ROOM_M, ProceduralRoom, follow, intersect, make_room
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.protocols import RayScene
from resect.types import Channel, Photo, Render

_TYPICAL_M = 2.0  # distance from a camera in the room to what it sees


@dataclass(frozen=True, eq=False)
class Room:
    """A scene that knows the truth.

    Attributes:
        model: the room of one seed.
        max_rays: most rays worked on at a time; bounds the memory when no gradient is kept.
    """

    model: ProceduralRoom = field(default_factory=make_room)
    max_rays: int = 8192

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What `render` can be asked for."""
        return ("rgb", "depth", "expected_depth", "alpha", "normal")

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """The room's corners, metres."""
        return torch.tensor([(0.0, 0.0, 0.0), ROOM_M])

    @property
    def code_dim(self) -> int:
        """No code."""
        return 0

    def observe(self, photo: Photo, camera: Camera) -> Render:
        """The photo's colours averaged over the camera's pixels; depth and opacity where it has them."""
        size = (camera.width, camera.height)
        rgb = resize_area(photo.image, *size).reshape(1, -1, 3)
        alpha = None if photo.alpha is None else resize_area(photo.alpha, *size).reshape(1, -1)
        return Render(rgb=rgb, alpha=alpha, depth=None if photo.depth is None else _depth_at(photo.depth, camera))

    def render(
        self,
        camera: Camera,
        cam_from_world: SE3,
        want: tuple[Channel, ...] = ("rgb",),
        pixels: Float[Tensor, "n 2"] | None = None,
        code: Float[Tensor, "h d"] | None = None,
    ) -> Render:
        """What H poses see at N pixels' centres; first derivatives by the poses are exact."""
        _check(self, cam_from_world, want, pixels, code)
        at = camera.pixels(dtype=cam_from_world.t.dtype) if pixels is None else pixels
        in_cam = camera.rays(at.to(cam_from_world.t))
        directions = in_cam @ cam_from_world.R
        origins = cam_from_world.center[:, None].expand_as(directions)
        along_axis = in_cam[:, 2].expand(directions.shape[:-1])
        parts = [
            self._shoot(o, d, z, want)
            for o, d, z in zip(
                origins.reshape(-1, 3).split(self.max_rays),
                directions.reshape(-1, 3).split(self.max_rays),
                along_axis.reshape(-1).split(self.max_rays),
                strict=True,
            )
        ]
        shape = directions.shape[:2]
        return Render(**{name: torch.cat([p[name] for p in parts]).unflatten(0, shape) for name in parts[0]})

    def ray_jacobian(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3 3"], Float[Tensor, "n 3 3"]]:
        """Colour, d colour / d origin and d colour / d direction, exact away from the edges of things.

        The point x = o + t d stays on the surface: dx = (I − d nᵀ / n·d)(do + t dd).
        """
        few = zip(origins.split(self.max_rays), directions.split(self.max_rays), strict=True)
        colour, by_origin, by_direction = zip(*(self._differentiate(o, d) for o, d in few), strict=True)
        return torch.cat(colour), torch.cat(by_origin), torch.cat(by_direction)

    def lod(self, pixel_rad: float, distance: float | None = None) -> RayScene:
        """The room without the texture that such pixels average away; itself for fine pixels."""
        pixel_m = _TYPICAL_M * pixel_rad
        return self if pixel_m < 0.004 else replace(self, model=self.model.faded(pixel_m))

    def _shoot(
        self, origins: Tensor, directions: Tensor, along_axis: Tensor, want: tuple[Channel, ...]
    ) -> dict[str, Tensor]:
        hits = intersect(origins.detach(), directions.detach())
        distance, points, normals = follow(origins, directions, hits)
        found: dict[str, Tensor] = {}
        for name in want:
            if name == "rgb":
                found[name] = self.model.colour(points, normals, hits.part)
            elif name == "normal":
                found[name] = torch.where(hits.part[:, None] >= 0, normals, torch.zeros_like(normals))
            elif name == "alpha":
                found[name] = (hits.part >= 0).to(distance)
            else:
                found[name] = distance * along_axis
        return found

    def _differentiate(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hits = intersect(origins, directions)
        distance, points, normals = follow(origins, directions, hits)

        def colour(x: Tensor) -> Tensor:
            turned = torch.nn.functional.normalize(normals + hits.bend * (x - points), dim=-1)
            return self.model.colour(x, turned, hits.part)

        columns = []
        for axis in torch.eye(3).to(points):
            value, column = torch.func.jvp(colour, (points,), (axis.expand_as(points).contiguous(),))[:2]
            columns.append(column)
        facing = (normals * directions).sum(-1)[:, None, None]
        facing = torch.where(facing.abs() < 1e-9, torch.full_like(facing, -1e-9), facing)
        eye = torch.eye(3).to(points)
        by_origin = torch.stack(columns, -1) @ (eye - directions[:, :, None] * normals[:, None, :] / facing)
        return value, by_origin, distance[:, None, None] * by_origin


def _depth_at(depth: Tensor, camera: Camera) -> Tensor:
    """(1, N) depth of the photo's pixel under each pixel's centre; an average over an edge would be nowhere."""
    height, width = depth.shape
    rows = ((torch.arange(camera.height, device=depth.device) + 0.5) * (height / camera.height)).long()
    columns = ((torch.arange(camera.width, device=depth.device) + 0.5) * (width / camera.width)).long()
    return depth[rows][:, columns].reshape(1, -1)


def _check(scene: Room, cam_from_world: SE3, want: tuple[Channel, ...], pixels: Tensor | None, code: object) -> None:
    for name in want:
        if name not in scene.channels:
            raise unknown_name("render: want", str(name), scene.channels)
    if not want:
        raise ResectError("render: want", f"one or more of {scene.channels}", "none")
    if cam_from_world.t.ndim != 2:
        got = str(tuple(cam_from_world.batch_shape))
        raise ResectError("render: cam_from_world", "one batch dimension (H)", got, "Index a single pose with [None].")
    if pixels is not None and (pixels.ndim != 2 or pixels.shape[-1] != 2):
        raise ResectError("render: pixels", "shape (n, 2)", str(tuple(pixels.shape)))
    if code is not None:
        raise ResectError("render: code", "none: the room has no code", type(code).__name__)
