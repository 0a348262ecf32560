"""What a visible box says of an outline: it ends where the box ends, or goes on beyond it where something hides it."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.data.mask import Box
from resect.geometry.camera import Camera
from resect.refine.levenberg_marquardt import Normal
from resect.refine.object.shown import Shown

_STRAY = 0.01  # density of sides that are anywhere: a wrong box costs this much and no more


@dataclass(frozen=True)
class BoxSettings:
    """How far the sides of a visible box may be from those of the outline, parts of the box's longer side.

    Attributes:
        sigma: standard deviation of a side that is seen.
        hidden: chance of a side to be hidden.
        beyond: mean distance of a hidden side from the visible box.
        around: pixels farther out are not looked at: a part of the object that lies there is hidden.
        least: log density below which an answer contradicts the box: three sides are 1.2 such lengths away, or more.
    """

    sigma: float = 0.03
    hidden: float = 0.2
    beyond: float = 0.3
    around: float = 0.12
    least: float = -18.0


def box_density(inside: Bool[Tensor, "h y x"], box: Box, s: BoxSettings) -> Float[Tensor, "h"]:
    """Log density of a visible box for H silhouettes, relative to that of one which fits exactly; −∞ without any.

    Sides are independent: seen (Gaussian), hidden by something before the object (farther out, exponential), or stray.
    A silhouette that the picture cuts off ends at the picture's border, as its box does.

    Args:
        inside: silhouettes.
        box: in pixels of `inside`.
    """
    outward, sigma = _outward(_sides(inside), box, s)
    seen, other = _densities(outward, sigma, s)
    exact = sum(_densities(torch.zeros_like(outward[:1, :1]), sigma, s))
    density = ((seen + other) / exact).log().sum(-1)
    return torch.where(inside.flatten(1).any(1), density, torch.full_like(density, -math.inf))


def box_normal(shown: Shown, box: Box, s: BoxSettings) -> Normal:
    """Normal equations of the same, each side with its chance to be one that is seen; sides move as their pixels do."""
    inside = shown.inside
    sides = _sides(inside)
    outward, sigma = _outward(sides, box, s)
    seen, other = _densities(outward, sigma, s)
    size = torch.tensor(inside.shape[2:0:-1], device=inside.device).repeat_interleave(2)  # x, x, y, y
    whole = (sides > 0) & (sides < size)  # the picture's border moves with no pose
    weight = seen / (seen + other) / sigma**2 * whole
    motion = shown.motion(_pixels(inside, sides))  # (h, 4, 2, 6)
    rows = torch.cat([motion[:, :2, 0], motion[:, 2:, 1]], 1) * _signs(outward)[:, None] / _size(box)
    weighted = (rows * weight[..., None]).mT
    gradient = (weighted @ outward[..., None])[..., 0]
    loss = -(seen + other).log().sum(-1)
    return Normal((weighted @ rows).double(), gradient.double(), loss.double())


def box_surroundings(box: Box, camera: Camera, s: BoxSettings) -> Bool[Tensor, "y x"]:
    """Pixels of a camera in a box and near it."""
    reach = s.around * _size(box)
    pixels = camera.pixels().unflatten(0, (camera.height, camera.width))
    return ((pixels > pixels.new_tensor(box[:2]) - reach) & (pixels < pixels.new_tensor(box[2:]) + reach)).all(-1)


def _densities(outward: Tensor, sigma: float, s: BoxSettings) -> tuple[Tensor, Tensor]:
    """Of a side as a visible one, and as any other."""
    seen = (1 - s.hidden) / (sigma * math.sqrt(2 * math.pi)) * torch.exp(-0.5 * (outward / sigma).square())
    hidden = s.hidden / s.beyond * torch.exp(-outward.clamp_min(0) / s.beyond) * torch.sigmoid(outward / sigma)
    return seen, hidden + _STRAY


def _outward(sides: Float[Tensor, "h 4"], box: Box, s: BoxSettings) -> tuple[Float[Tensor, "h 4"], float]:
    """How far the silhouettes go beyond the box at each side, parts of its longer side; and a side's deviation."""
    left, top, right, bottom = box
    out = (sides - sides.new_tensor([left, right, top, bottom])) * _signs(sides) / _size(box)
    return out, math.hypot(s.sigma, 1 / math.sqrt(12) / _size(box))  # silhouettes are whole pixels


def _size(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1], 1.0)


def _signs(like: Tensor) -> Float[Tensor, "4"]:
    return like.new_tensor([-1.0, 1.0, -1.0, 1.0])


def _sides(inside: Bool[Tensor, "h y x"]) -> Float[Tensor, "h 4"]:
    """Left, right, top, bottom of each silhouette, in pixels."""
    return torch.cat([_ends(inside.any(1)), _ends(inside.any(2))], 1)


def _ends(line: Bool[Tensor, "h n"]) -> Float[Tensor, "h 2"]:
    """Where the set entries of each row begin and end."""
    place = torch.arange(line.shape[1], device=line.device, dtype=torch.float32)
    first = torch.where(line, place, line.shape[1]).amin(1)
    last = torch.where(line, place + 1, 0.0).amax(1)
    return torch.stack([first, last], 1)


def _pixels(inside: Bool[Tensor, "h y x"], sides: Float[Tensor, "h 4"]) -> Int[Tensor, "h 4"]:
    """A pixel of each silhouette at each of its four sides."""
    height, width = inside.shape[1:]
    nearest = sides - torch.tensor([0, 1, 0, 1], device=sides.device)
    x, y = nearest[:, :2].long().clamp(0, width - 1), nearest[:, 2:].long().clamp(0, height - 1)
    down = inside.gather(2, x[:, None].expand(-1, height, -1)).mT  # (h, 2, y)
    along = inside.gather(1, y[..., None].expand(-1, -1, width))  # (h, 2, x)
    return torch.cat([_middle(down) * width + x, y * width + _middle(along)], 1)


def _middle(line: Bool[Tensor, "h k n"]) -> Int[Tensor, "h k"]:
    """The entry that as many set ones precede as follow."""
    count = line.cumsum(-1)
    return (2 * count >= count[..., -1:]).to(torch.uint8).argmax(-1)
