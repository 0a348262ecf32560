"""Outline against a photo without a mask: each pixel's colour says whether it is object or background.

Colour histograms of both sides of the rendered outline give every pixel a probability of being object; the pose that
separates the two best has its outline where the object ends. No texture, no mask and no model of the light is needed,
and occluders and clutter only weaken it.

References: Prisacariu and Reid, "PWP3D: Real-time segmentation and tracking of 3D objects", IJCV 2012; the step is the
reweighted Gauss–Newton of Tjaden et al., "A region-based Gauss–Newton approach to real-time monocular multiple object
tracking", PAMI 2018. Here many hypotheses go at once, each with its own histograms.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.refine.levenberg_marquardt import Normal
from resect.refine.object.shown import Shown, grown, slopes, some_of
from resect.refine.view import View

_LEAST = 1e-3  # probability that no colour falls below: one pixel cannot veto
_UNSURE = 0.02  # of what a mask says
_BAND = 2.0  # slopes; farther from the outline the step is over


@dataclass(frozen=True)
class RegionSettings:
    """How the sides of an outline are told apart.

    Attributes:
        levels: bins of each colour channel.
        around_px: background is what lies within this many pixels of the silhouette.
        most: pixels of the band that a step looks at.
        smoothing: prior weight of each bin, part of all pixels of its side.
    """

    levels: int = 16
    around_px: int = 16
    most: int = 2048
    smoothing: float = 0.002


@dataclass(frozen=True, eq=False)
class Region:
    """One photo at one size, as colour bins.

    Attributes:
        view: at which the outlines are rendered.
        settings: how the sides are told apart.
        bins: colour bin of each pixel.
        usable: pixels that may be used.
        object_is: probability of object of each pixel where a mask says so, in place of colours.
    """

    view: View
    settings: RegionSettings
    bins: Int[Tensor, "n"]
    usable: Bool[Tensor, "1 y x"]
    object_is: Float[Tensor, "1 y x"] | None = None

    @classmethod
    def of(cls, view: View, settings: RegionSettings, mask: Float[Tensor, "n"] | None = None) -> "Region":
        """Of a view in colour; `mask` in [0, 1] where the object is known to be visible."""
        levels = settings.levels
        index = (view.observed * levels).long().clamp(0, levels - 1)
        bins = (index[:, 0] * levels + index[:, 1]) * levels + index[:, 2]
        known = None if mask is None else (_UNSURE + (1 - 2 * _UNSURE) * mask).reshape(1, *view.shape)
        return cls(view, settings, bins, (view.weight > 0.5).reshape(1, *view.shape), known)

    def gain(self, shown: Shown) -> Float[Tensor, "h"]:
        """How much better the outline explains the colours near it than no outline would, in nats a pixel.

        Higher is better; comparable between poses of one photo. −∞ where nothing is shown.
        """
        inside, near = shown.inside, grown(shown.inside, self.settings.around_px) & self.usable
        foreground, background = self._posterior(inside)
        chosen = torch.where(inside, foreground, background).clamp_min(_LEAST)
        share = (inside & near).sum((1, 2), keepdim=True) / near.sum((1, 2), keepdim=True).clamp_min(1)
        mixed = (share * foreground + (1 - share) * background).clamp_min(_LEAST)
        total = ((chosen.log() - mixed.log()) * near).sum((1, 2)) / near.sum((1, 2)).clamp_min(1)
        return torch.where(inside.flatten(1).any(1), total, torch.full_like(total, -math.inf))

    def normal(self, shown: Shown, foreground: Float[Tensor, "h y x"], slope_px: float) -> Normal:
        """Normal equations of Σ −log p(colour | pose), reweighted as squares.

        The loss is that of all pixels, so that it can be compared between poses; only the band about the outline has
        a slope.

        Args:
            foreground: probability of object of each pixel, held while stepping (`posterior`).
            slope_px: width of the step from inside to outside; a wide one is felt from farther away.
        """
        reach = math.ceil(_BAND * slope_px)
        distance, nearest = signed_distance(shown.inside, reach)
        band, stands_for = some_of((distance.abs() < reach) & self.usable, self.settings.most)
        inside = torch.sigmoid(-2 * distance / slope_px)
        cost = -(inside * foreground + (1 - inside) * (1 - foreground)).clamp_min(_LEAST).log()
        side, object_is, its_cost = (x.flatten(1).gather(1, band) for x in (inside, foreground, cost))
        fall = 2 * side * (1 - side) / slope_px  # −d inside / d distance
        force = (2 * object_is - 1) * its_cost.exp() * fall  # d loss / d distance
        outline = shown.motion(nearest.flatten(1).gather(1, band))
        rows = -(_outward(distance, band)[..., None, :] @ outline)[..., 0, :] * force[..., None]
        weighted = (rows * (stands_for / its_cost.clamp_min(1e-2))[..., None]).mT
        gradient = (rows * stands_for[..., None]).sum(1)
        return Normal((weighted @ rows).double(), gradient.double(), (cost * self.usable).sum((1, 2)).double())

    def posterior(self, shown: Shown) -> Float[Tensor, "h y x"]:
        """Probability of object of each pixel, from the colours on both sides of each outline."""
        return self._posterior(shown.inside)[0]

    def _posterior(self, inside: Bool[Tensor, "h y x"]) -> tuple[Float[Tensor, "h y x"], Float[Tensor, "h y x"]]:
        """Share of each side's histogram that a pixel's colour has, scaled so that the two sum to one."""
        s = self.settings
        if self.object_is is not None:
            return self.object_is.expand(inside.shape), 1 - self.object_is.expand(inside.shape)
        around = grown(inside, s.around_px) & ~inside
        bins = self.bins[None].expand(len(inside), -1)
        sides = []
        for side in (inside & self.usable, around & self.usable):
            weight = side.flatten(1).float()
            histogram = torch.zeros(len(weight), s.levels**3, device=weight.device).scatter_add_(1, bins, weight)
            share = histogram / weight.sum(1, keepdim=True).clamp_min(1.0)
            sides.append((share + s.smoothing).gather(1, bins).reshape(inside.shape))
        both = sides[0] + sides[1]
        return sides[0] / both, sides[1] / both


def signed_distance(inside: Bool[Tensor, "h y x"], reach: int) -> tuple[Float[Tensor, "h y x"], Int[Tensor, "h y x"]]:
    """Distance to the outline of masks in pixels, negative inside, exact up to ± `reach` and clamped there.

    The outline runs half a pixel outside the inner pixels that have an outer neighbour. Two passes of a separable
    minimum: all rows, then all columns.

    Returns:
        The distance, and the index of the nearest pixel of the outline (meaningless beyond the reach).
    """
    edge = inside & ~_core(inside)
    height, width = inside.shape[1:]
    offsets = torch.arange(-reach, reach + 1, device=inside.device)
    far = float(4 * reach * reach)
    pad = torch.nn.functional.pad
    cost = torch.where(edge, 0.0, far)
    along, dx = (pad(cost, (reach, reach), value=far).unfold(2, 2 * reach + 1, 1) + offsets.square()).min(-1)
    columns = pad(along, (0, 0, reach, reach), value=far).unfold(1, 2 * reach + 1, 1) + offsets.square()
    squared, dy = columns.min(-1)
    row = (torch.arange(height, device=inside.device)[None, :, None] + dy - reach).clamp(0, height - 1)
    column = (torch.arange(width, device=inside.device)[None, None] + dx - reach).gather(1, row).clamp(0, width - 1)
    distance = squared.clamp_max(reach**2).sqrt()
    signed = torch.where(inside, -distance - 0.5, distance - 0.5).clamp(-reach, reach)
    return signed, row * width + column


def _core(inside: Bool[Tensor, "h y x"]) -> Bool[Tensor, "h y x"]:
    """Pixels whose four neighbours are inside too; beyond the image all is inside, where an outline says nothing."""
    padded = torch.nn.functional.pad(inside, (1, 1, 1, 1), value=True)
    core = padded[:, 1:-1, 1:-1] & padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1]
    return core & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]


def _outward(distance: Float[Tensor, "h y x"], index: Int[Tensor, "h k"]) -> Float[Tensor, "h k 2"]:
    """Unit direction in which the distance grows, at some pixels."""
    found = torch.stack([g.flatten(1).gather(1, index) for g in slopes(distance)], -1)
    return found / found.square().sum(-1, keepdim=True).sqrt().clamp_min(1e-9)
