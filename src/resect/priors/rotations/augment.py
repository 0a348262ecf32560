"""Photos of objects as a set without end: the camera turned, the box moved, the light changed; labels stay exact.

A camera turned at its place shows nothing new of an object, so every picture here could have been taken: the photo
turned about its principal point, the object's box taken anew from its turned outline, and the virtual camera of
`rotations/view` that looks at that box. Pictures are made many at once on any device, from one picture of each photo
that holds the object in every turn.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, pad

from resect.data.rotation_set import RotationSet
from resect.data.seen_through import seen_through
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.priors.rotations.view import facing, virtual_camera
from resect.priors.views import box_of
from resect.training.settings import check
from resect.types import Photo, Target

_FINE = 2  # samples along a picture's pixel
_ROOM = 1.15  # what a photo's picture holds around the object
_OUTLINE = 64  # directions in which the outline is farthest
_CHUNK = 4096
_BLUR = 3  # pixels either way


@dataclass(frozen=True)
class Variety:
    """How far pictures differ from the photos; all is drawn uniformly."""

    count: int = 200_000
    """Pictures in the set; each is always the same."""
    roll_deg: float = 180.0
    """Turn about the principal point, either way."""
    move: float = 0.03
    """Shift of the box either way along each side, part of its size."""
    grow: float = 0.05
    """Change of its size either way."""
    light: float = 0.3
    """Change of the brightness either way, logarithm; a third of it for each colour alone too."""
    blur: float = 0.8
    """Standard deviation in pixels, at most."""
    seed: int = 0
    """Of all draws."""

    def __post_init__(self) -> None:
        limits = {"count": (1, 10_000_000), "roll_deg": (0, 180), "move": (0, 0.5), "grow": (0, 0.5), "light": (0, 2)}
        check(self, {**limits, "blur": (0, 1.5)})


def augmented(data: RotationSet, side: int, variety: Variety | None = None, device: str = "cpu") -> RotationSet:
    """The set of pictures, `side` pixels wide; picture i is of photo i modulo the number of photos.

    Args:
        data: photos with known cameras and with masks or boxes; they are all kept in memory, a picture each.
        side: of the pictures.
        variety: see there.
        device: where pictures are made.
    """
    if len(data) == 0:
        raise ResectError("augment", "at least one photo", "none", "Check the data and --split.")
    v = variety or Variety()
    shelf = [_kept(data.photo(i), side) for i in range(len(data))]
    draws = torch.from_numpy(np.random.default_rng(v.seed).uniform(-1, 1, (v.count, 9)))
    row = torch.arange(v.count) % len(data)
    outlines = torch.stack([s.outline for s in shelf])
    parts = zip(row.split(_CHUNK), draws.split(_CHUNK), strict=True)
    views = [_turns(outlines[r], d, v) for r, d in parts]
    turn, reach = torch.cat([t for t, _ in views]), torch.cat([r for _, r in views])
    back = torch.stack([s.turn for s in shelf])[row] @ turn.mT  # to the photo's picture from this one
    focal = torch.tensor([s.focal for s in shelf], dtype=torch.float64)[row]
    kept = torch.stack([s.picture for s in shelf]).to(device)
    homography = (back * torch.stack([reach, reach, torch.ones_like(reach)], -1)[:, None]).float().to(device)
    zoom, of, look = (x.to(device) for x in (focal.float(), row, draws[:, 4:].float()))

    def render(rows: Sequence[int]) -> Float[Tensor, "b s s 3"]:
        i = torch.tensor(list(rows)).to(device, non_blocking=True)
        shown = _sampled(kept[of[i]].float() / 255, homography[i], zoom[i], side)
        return _lit(_blurred(shown, v.blur * (look[i, 0] + 1) / 2), look[i, 1:], v.light).permute(0, 2, 3, 1)

    return _as_set(data, row, turn, render, side)


def _as_set(
    data: RotationSet,
    row: Int[Tensor, "n"],
    turn: Float[Tensor, "n 3 3"],
    render: Callable[[Sequence[int]], Float[Tensor, "b s s 3"]],
    side: int,
) -> RotationSet:
    of = row.tolist()
    names, categories = tuple(data.names[i] for i in of), tuple(data.categories[i] for i in of)
    known = data.equivalents

    def load(i: int) -> Photo:
        target = Target(names[i], category=categories[i], box=(0.0, 0.0, float(side), float(side)))
        return Photo(names[i], render([i])[0].cpu(), target=target)

    return RotationSet(
        f"{data.format}, turned",
        names,
        categories,
        turn @ data.rotation[row].double(),
        load,
        equivalents=None if known is None else lambda i: turn[i] @ known(of[i]),
        render=render,
        notes=data.notes,
    )


@dataclass(frozen=True, eq=False)
class _Kept:
    """A photo's picture, bytes; that camera's focal length in half sides and its turn from the photo's; the outline."""

    picture: Tensor
    focal: float
    turn: Float[Tensor, "3 3"]
    outline: Float[Tensor, "k 2"]


def _kept(photo: Photo, side: int) -> _Kept:
    camera, box = photo.known_camera(), box_of(photo.target)
    if box is None or photo.target is None:
        fix = "Give boxes or masks, or leave augment away; roll_deg turns whole photos."
        raise ResectError(photo.name, "a box or a mask of the object", "neither", fix)
    rays = camera.rays(_edge(photo.target, box))
    _, turn = virtual_camera(camera, box, side)
    seen = rays @ turn.mT
    reach = _ROOM * float((seen[:, :2] / seen[:, 2:]).norm(dim=-1).max())
    size = round(_FINE * side * _ROOM * math.sqrt(2))
    focal = size / 2 / reach
    picture = seen_through(photo.image.float(), camera, Camera(focal, focal, size / 2, size / 2, size, size), turn)
    return _Kept((picture * 255).round().byte(), 1 / reach, turn, rays[:, :2] / rays[:, 2:])


def _edge(target: Target, box: tuple[float, float, float, float]) -> Float[Tensor, "k 2"]:
    """Pixels of the mask's corners that are farthest in evenly spread directions; the box's without one."""
    left, top, right, bottom = box
    points = torch.tensor([[left, top], [right, top], [left, bottom], [right, bottom]], dtype=torch.float64)
    if target.mask is not None and bool(target.mask.any()):
        cells = target.mask.nonzero().flip(-1).double()
        points = torch.cat([cells + torch.tensor(c, dtype=torch.float64) for c in ((0, 0), (0, 1), (1, 0), (1, 1))])
    angle = torch.arange(_OUTLINE, dtype=torch.float64) * (2 * math.pi / _OUTLINE)
    return points[(points @ torch.stack([angle.cos(), angle.sin()])).argmax(0)]


def _turns(outline: Float[Tensor, "b k 2"], draw: Float[Tensor, "b 9"], v: Variety) -> tuple[Tensor, Tensor]:
    """Each picture's rotation from the photo's camera and the tangent that it holds."""
    zero = torch.zeros_like(draw[:, 0])
    roll = so3.exp(torch.stack([zero, zero, draw[:, 0] * math.radians(v.roll_deg)], -1))
    low, high = (outline @ roll[:, :2, :2].mT).aminmax(dim=1)
    middle = (low + high) / 2 + v.move * (high - low) * draw[:, 1:3]
    half = (high - low) / 2 * (1 + v.grow * draw[:, 3:4])
    sign = torch.tensor([[-1, -1], [1, -1], [-1, 1], [1, 1]], dtype=torch.float64)
    corners = torch.nn.functional.pad(middle[:, None] + sign * half[:, None], (0, 1), value=1.0)
    turn, reach = facing(torch.nn.functional.normalize(corners, dim=-1))
    return turn @ roll, reach


def _sampled(
    kept: Float[Tensor, "b 3 k k"], homography: Float[Tensor, "b 3 3"], focal: Float[Tensor, "b"], side: int
) -> Float[Tensor, "b 3 s s"]:
    n = _FINE * side
    step = (torch.arange(n, device=kept.device) + 0.5) * (2 / n) - 1
    y, x = torch.meshgrid(step, step, indexing="ij")
    seen = torch.stack([x, y, torch.ones_like(x)], -1).view(-1, 3) @ homography.mT
    grid = (seen[..., :2] / seen[..., 2:] * focal[:, None, None]).view(-1, n, n, 2)
    return avg_pool2d(grid_sample(kept, grid, padding_mode="border", align_corners=False), _FINE)


def _blurred(pictures: Float[Tensor, "b 3 s s"], sigma: Float[Tensor, "b"]) -> Float[Tensor, "b 3 s s"]:
    """By a Gaussian, along each axis in turn."""
    count, colours, side, _ = pictures.shape
    at = torch.arange(-_BLUR, _BLUR + 1, device=pictures.device)
    weight = (-0.5 * (at / sigma.clamp_min(1e-3)[:, None]).square()).softmax(1).repeat_interleave(colours, 0)
    flat = pictures.reshape(1, count * colours, side, side)
    across = conv2d(pad(flat, (_BLUR, _BLUR, 0, 0), mode="replicate"), weight[:, None, None], groups=count * colours)
    down = pad(across, (0, 0, _BLUR, _BLUR), mode="replicate")
    return conv2d(down, weight[:, None, :, None], groups=count * colours).view_as(pictures)


def _lit(pictures: Float[Tensor, "b 3 s s"], draw: Float[Tensor, "b 4"], light: float) -> Float[Tensor, "b 3 s s"]:
    gain = (light * (draw[:, :1] + draw[:, 1:] / 3)).exp()
    return (pictures * gain[:, :, None, None]).clamp(0, 1)
