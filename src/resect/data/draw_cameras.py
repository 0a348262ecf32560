"""A picture of cameras from above and from the side, drawn with Pillow."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import write_atomic
from resect.data.frame import look_at_point, scene_scale
from resect.geometry.se3 import SE3
from resect.types import PhotoSet, Split

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_SIZE, _MARGIN = 760, 60
_FACING_ONE_WAY = 0.5  # length of the mean level viewing direction
_TRAIN, _TEST, _INK, _FAINT = (36, 99, 168), (214, 98, 26), (60, 60, 60), (190, 190, 190)


def draw_cameras(photos: PhotoSet, path: Path, split: Split | None = None) -> None:
    """Writes a PNG: every camera as a small pyramid, the point that they look at, the world's axes.

    Args:
        photos: whose cameras to draw.
        path: the PNG to write.
        split: held-out cameras are drawn in another colour.
    """
    from PIL import Image, ImageDraw, ImageFont

    poses = photos.truth.cam_from_world.double()
    look = look_at_point(poses)
    scale = scene_scale(photos, split)
    up = look.up if photos.world.up is None else photos.world.up.double()
    side, away = _level_axes(up, poses.center - look.point)
    lines = _pyramids(photos, 0.12 * scale)
    held_out = set(split.test) if split is not None else set()
    picture = Image.new("RGB", (2 * _SIZE, _SIZE + 40), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=18)
    views = (("from above", torch.stack([side, away])), ("from the side", torch.stack([_ahead(poses, up, side), up])))
    for k, (title, axes) in enumerate(views):
        panel = _Panel(draw, axes, torch.cat([lines.flatten(0, 2), look.point[None]]), k * _SIZE)
        for a in range(3):
            tip = torch.zeros(3, dtype=torch.float64)
            tip[a] = 0.5 * scale
            color = tuple(200 if c == a else 60 for c in range(3))
            panel.line(torch.stack([torch.zeros_like(tip), tip]), color, 2)
        for i in range(len(photos)):
            for segment in lines[i]:
                panel.line(segment, _TEST if i in held_out else _TRAIN, 1)
        panel.cross(look.point)
        draw.text((k * _SIZE + 16, 10), title, fill=_INK, font=font)
        panel.bar(scale, font)
    colors = "blue: training, orange: held out; " if held_out else ""
    text = (
        f"{photos.format}, {len(photos)} cameras; {colors}cross: the point nearest their axes; red, green, blue: x y z"
    )
    draw.text((16, _SIZE + 8), text, fill=_INK, font=font)
    data = io.BytesIO()
    picture.save(data, "PNG")
    write_atomic(path, data.getvalue())


class _Panel:
    """An orthographic view that fits points into a square; a line outside it is clipped by the picture."""

    def __init__(self, draw: "ImageDraw", axes: Tensor, points: Tensor, left: int) -> None:
        flat = points @ axes.T
        low, high = flat.amin(0), flat.amax(0)
        self.draw, self.axes, self.left = draw, axes, left
        self.zoom = float((_SIZE - 2 * _MARGIN) / (high - low).max().clamp_min(1e-12))
        self.middle = (low + high) / 2
        draw.rectangle((left + 4, 4, left + _SIZE - 4, _SIZE - 4), outline=_FAINT)

    def place(self, points: Tensor) -> list[tuple[float, float]]:
        flat = (points @ self.axes.T - self.middle) * self.zoom
        return [(self.left + _SIZE / 2 + x, _SIZE / 2 - y) for x, y in flat.tolist()]

    def line(self, points: Tensor, color: tuple[int, ...], width: int) -> None:
        ends = self.place(points)
        if all(self.left + 4 < x < self.left + _SIZE - 4 and 4 < y < _SIZE - 4 for x, y in ends):
            self.draw.line(ends, fill=color, width=width)

    def cross(self, point: Tensor) -> None:
        ((x, y),) = self.place(point[None])
        self.draw.line((x - 7, y - 7, x + 7, y + 7), fill=_INK, width=2)
        self.draw.line((x - 7, y + 7, x + 7, y - 7), fill=_INK, width=2)

    def bar(self, scale: float, font: object) -> None:
        """A measure whose length is a round number of units near half the scene's scale."""
        unit = 10.0 ** torch.tensor(max(scale, 1e-12) / 2).log10().floor().item()
        length = unit * max(k for k in (1, 2, 5) if k * unit <= max(scale, 1e-12) / 2 or k == 1)
        x, y = self.left + 24, _SIZE - 24
        self.draw.line((x, y, x + length * self.zoom, y), fill=_INK, width=3)
        self.draw.text((x, y - 24), f"{length:g}", fill=_INK, font=font)  # type: ignore[arg-type]


def _level_axes(up: Float[Tensor, "3"], offsets: Float[Tensor, "n 3"]) -> tuple[Tensor, Tensor]:
    """Two unit vectors across `up`: the first along the widest spread of the cameras."""
    level = offsets - (offsets @ up)[:, None] * up
    _, _, rows = torch.linalg.svd(level - level.mean(0), full_matrices=True)
    side = rows[0] - (rows[0] @ up) * up
    if float(side.norm()) < 1e-6:
        side = torch.linalg.cross(up, torch.eye(3, dtype=up.dtype)[int(up.abs().argmin())])
    side = side / side.norm()
    return side, torch.linalg.cross(up, side)


def _ahead(poses: SE3, up: Tensor, side: Tensor) -> Tensor:
    """Level axis of the view from the side: where the cameras look, if they all do; else along their widest spread.

    Of cameras that face one way, a picture of their widest spread would be taken along their view.
    """
    mean = poses.R[:, 2].mean(0)
    level = mean - (mean @ up) * up
    length = float(level.norm())
    return level / length if length > _FACING_ONE_WAY else side


def _pyramids(photos: PhotoSet, depth: float) -> Float[Tensor, "n 8 2 3"]:
    """Four edges and four sides of each camera's pyramid, world units."""
    corners = []
    for camera in photos.cameras:
        w, h = float(camera.width), float(camera.height)
        pixels = torch.tensor([[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]], dtype=torch.float64)
        rays = camera.rays(pixels)
        corners.append(rays / rays[:, 2:].clamp_min(0.3) * depth)
    poses = photos.truth.cam_from_world.double().inverse()
    base = poses.apply(torch.stack(corners))
    tip = poses.t[:, None].expand_as(base)
    return torch.cat([torch.stack([tip, base], 2), torch.stack([base, base.roll(-1, 1)], 2)], 1)
