"""Pictures of densities over SO(3): a Mollweide map with the truth as rings and a wheel of tilts, beside the photo.

A rotation is a point and a colour. The point is where an axis of the object looks, in the camera's frame: the map's
middle is towards the viewer, right and up are the image's. The colour is the turn about that axis. A cell is a disc
whose area is in proportion to its probability, up to the size of a ring; a true rotation is a ring of its colour.

After Murphy et al., "Implicit-PDF", ICML 2021, figure 2, with the camera's frame instead of the object's.
"""

import io
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from resect.evaluation.pictures import to_pil
from resect.types import RotationDensity

Direction = tuple[float, float, float]
SKEWED: Direction = (0.35, 0.45, 0.82)
"""An axis beside all symmetry axes that objects tend to have, so that equivalent rotations lie apart."""
_FINE = 3  # drawn so much larger, then averaged
_MOST_CELLS, _MOST_RINGS = 20_000, 180
_INK = 0.05  # part of the map's area that all discs together cover
_LARGEST, _LEAST = 1 / 60, 0.25  # greatest radius of a disc, of the width; least one in pixels that is drawn
_INKS: dict[str, tuple[int, int, int]] = {"line": (214, 214, 214), "edge": (110, 110, 110), "text": (70, 70, 70)}


def draw_density(
    density: RotationDensity | None,
    truths: Float[Tensor, "s 3 3"] | None = None,
    *,
    width: int = 560,
    axis: Direction = SKEWED,
) -> Image.Image:
    """The map of a density of `cam_from_obj`, with a wheel of tilts below on the right; height is 0.62 of the width.

    Args:
        density: what is drawn as discs; `None` draws only the truth.
        truths: all equivalent true rotations; of very many, some.
        width: of the picture in pixels.
        axis: of the object, whose direction is shown.
    """
    w = width * _FINE
    picture = Image.new("RGB", (w, round(0.62 * w)), "white")
    _graticule(ImageDraw.Draw(picture), w)
    if density is not None:
        picture = _with_discs(picture, density, axis)
    draw = ImageDraw.Draw(picture)
    if truths is not None:
        _rings(draw, truths, w, axis)
    _wheel(draw, w)
    return picture.resize((width, round(0.62 * width)), Image.Resampling.BOX)


def beside(
    photo: Float[Tensor, "h w 3"],
    density: RotationDensity | None,
    truths: Float[Tensor, "s 3 3"] | None = None,
    *,
    words: str = "",
    height: int = 240,
    axis: Direction = SKEWED,
) -> Image.Image:
    """A photo on the left and the map on the right, both of this height, with a line of words below."""
    left = to_pil(photo)
    left = left.resize((max(1, round(left.width * height / left.height)), height), Image.Resampling.LANCZOS)
    right = draw_density(density, truths, width=round(height / 0.62), axis=axis)
    gap, line = 12, 20 if words else 0
    picture = Image.new("RGB", (left.width + gap + right.width, height + line), "white")
    picture.paste(left, (0, 0))
    picture.paste(right, (left.width + gap, 0))
    ImageDraw.Draw(picture).text((2, height + 4), words, fill=_INKS["text"], font=ImageFont.load_default(12))
    return picture


def sheet(pictures: Sequence[Image.Image], columns: int = 2, gap: int = 16) -> Image.Image:
    """Pictures in rows, each in a cell of the largest one's size, on white."""
    w, h = max((p.width for p in pictures), default=1), max((p.height for p in pictures), default=1)
    rows = -(-len(pictures) // columns)
    found = Image.new("RGB", (columns * (w + gap) + gap, rows * (h + gap) + gap), "white")
    for k, picture in enumerate(pictures):
        found.paste(picture, (gap + k % columns * (w + gap), gap + k // columns * (h + gap)))
    return found


def moving(pictures: Sequence[Image.Image], *, ms: int = 220, last_ms: int = 1800) -> bytes:
    """A GIF, such as of a density over the course of training; the last picture stays longer."""
    flat = [picture.quantize(128, dither=Image.Dither.NONE) for picture in pictures]
    times = [ms] * (len(flat) - 1) + [last_ms]
    data = io.BytesIO()
    flat[0].save(data, "GIF", save_all=True, append_images=flat[1:], duration=times, loop=0, disposal=2)
    return data.getvalue()


def png(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def place(
    rotation: Float[Tensor, "n 3 3"], axis: Direction = SKEWED
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where rotations lie on the map, x in [−2, 2] to the right and y in [−1, 1] upwards, and their hue in [0, 1).

    The hue is the turn about the axis, counter-clockwise from the map's right, of a direction fixed in the object.
    """
    along = torch.nn.functional.normalize(torch.tensor(axis, dtype=torch.float64), dim=0)
    spare = torch.eye(3, dtype=torch.float64)[int(along.abs().argmin())]
    beside_it = torch.nn.functional.normalize(spare - (spare @ along) * along, dim=0)
    turned = rotation.double().cpu()
    look, other = turned @ along, turned @ beside_it
    right, up = look.new_tensor([1.0, 0.0, 0.0]), look.new_tensor([0.0, -1.0, 0.0])
    east = torch.linalg.cross(up.expand_as(look), look)
    east = torch.where(east.norm(dim=-1, keepdim=True) < 1e-9, right, east)
    east = torch.nn.functional.normalize(east, dim=-1)
    north = torch.linalg.cross(look, east)
    hue = torch.atan2((other * north).sum(-1), (other * east).sum(-1)) / (2 * math.pi) % 1
    longitude = torch.atan2(look[..., 0], -look[..., 2])
    return mollweide(longitude.numpy(), np.arcsin(np.clip(-look[..., 1].numpy(), -1, 1))), hue.numpy()


def mollweide(longitude: NDArray[np.float64], latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """The equal-area map of Mollweide: (n, 2), x in [−2, 2], y in [−1, 1]; angles in radians."""
    latitude = np.asarray(latitude, dtype=np.float64)
    target, theta = np.pi * np.sin(latitude), np.array(latitude)
    for _ in range(60):  # 2θ + sin 2θ = π sin φ; Newton's steps are short near the poles, where it is flat
        slope = 2 + 2 * np.cos(2 * theta)
        step = (2 * theta + np.sin(2 * theta) - target) / np.maximum(slope, 1e-6)
        theta = np.clip(theta - step, -np.pi / 2, np.pi / 2)
        if np.abs(step).max(initial=0) < 1e-6:
            break
    return np.stack([2 / np.pi * np.asarray(longitude) * np.cos(theta), np.sin(theta)], -1)


def _with_discs(picture: Image.Image, density: RotationDensity, axis: Direction) -> Image.Image:
    """The picture with a disc a cell, the least probable first; what is smaller than a pixel is one pixel."""
    w = picture.width
    mass, index = density.mass.topk(min(_MOST_CELLS, len(density.cell)))
    radius = np.minimum(w / 4.2 * np.sqrt(2 * _INK * mass.cpu().numpy()), _LARGEST * w)
    at, hue = place(density.centers(index[torch.from_numpy(radius > _LEAST)]), axis)
    center, color, radius = _pixels(at, w), _colors(hue), radius[radius > _LEAST]
    values = np.array(picture)
    column, row = center.astype(int).T
    values[row[::-1], column[::-1]] = color[::-1]
    painted = Image.fromarray(values)
    draw = ImageDraw.Draw(painted)
    for (x, y), r, c in zip(center[::-1], radius[::-1], color[::-1].tolist(), strict=True):
        if r > 1:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(c))
    return painted


def _rings(draw: ImageDraw.ImageDraw, truths: Float[Tensor, "s 3 3"], w: int, axis: Direction) -> None:
    some = truths[torch.linspace(0, len(truths) - 1, min(len(truths), _MOST_RINGS)).long()]
    many = len(some) > 24
    r, thick = w / (100 if many else 50), max(2, w // (500 if many else 280))
    at, hue = place(some, axis)
    for (x, y), color in zip(_pixels(at, w), _colors(hue).tolist(), strict=True):
        draw.ellipse((x - r, y - r, x + r, y + r), outline=(60, 60, 60), width=thick + 2)
        draw.ellipse((x - r, y - r, x + r, y + r), outline=tuple(color), width=thick)


def _pixels(at: NDArray[np.float64], w: int) -> NDArray[np.float64]:
    """Pixels (x, y) of points of the map in a picture of width w."""
    scale = w / 4.2
    return np.stack([w / 2 + at[:, 0] * scale, 0.27 * w - at[:, 1] * scale], -1)


def _graticule(draw: ImageDraw.ImageDraw, w: int) -> None:
    turn = np.linspace(-np.pi, np.pi, 181)
    half = np.linspace(-np.pi / 2, np.pi / 2, 91)
    lines = [mollweide(np.full(91, np.radians(k)), half) for k in range(-120, 121, 60)]
    lines += [mollweide(turn, np.full(181, np.radians(k))) for k in range(-60, 61, 30)]
    for line in lines:
        draw.line(_pixels(line, w).flatten().tolist(), fill=_INKS["line"], width=max(1, w // 900))
    edge = np.concatenate([mollweide(np.full(91, np.pi), half), mollweide(np.full(91, -np.pi), half)[::-1]])
    draw.line(
        _pixels(np.concatenate([edge, edge[:1]]), w).flatten().tolist(), fill=_INKS["edge"], width=max(2, w // 500)
    )


def _wheel(draw: ImageDraw.ImageDraw, w: int) -> None:
    """Which colour is which tilt."""
    x, y, r = 0.94 * w, 0.555 * w, 0.045 * w
    for k, color in enumerate(_colors((np.arange(120) + 0.5) / 120).tolist()):
        start = -360 * (k + 1) / 120
        draw.pieslice((x - r, y - r, x + r, y + r), start - 0.5, start + 3.5, fill=tuple(color))
    inner = 0.55 * r
    draw.ellipse((x - inner, y - inner, x + inner, y + inner), fill="white")
    font = ImageFont.load_default(max(10, w // 30))
    draw.text((x - 1.25 * r, y), "tilt", fill=_INKS["text"], font=font, anchor="rm")


def _colors(hue: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A wheel of colours of about equal strength."""
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * (np.asarray(hue)[:, None] - np.arange(3) / 3))
    return (255 * (0.08 + 0.84 * wave)).round().astype(np.uint8)
