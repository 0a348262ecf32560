"""The outline to a fraction of a pixel: every pixel near it is a mixture of the colours beside it.

Colours of object and background are learned on both sides of the outline, near each of its pixels and not from those
that the outline may cross; those of the object change across the surface as the render does, or a face that is darker
towards its edge would pull the outline in. How much of a pixel the object covers is exact, so is its derivative, and
nothing is counted as inside or outside; where both sides look alike, the outline says nothing.

Noise of pixels is not what limits an outline: a shadow, a highlight at the rim or a scan that is a little too fat moves
all of a stretch together. So a stretch says no more than a pixel's fraction allows, and one that would rather lie
elsewhere than most is forgiven as a whole.

Reference: Hanek and Beetz, "The contracting curve density algorithm", IJCV 2004. Here colours stay as learned while
stepping, both sides share one covariance, and pixels and stretches that fit neither are forgiven.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.levenberg_marquardt import Normal, State, System
from resect.refine.object.shown import Shown, slopes
from resect.refine.view import View

_EDGE = 0.03  # a pixel that is covered less is background
_BEYOND = 2  # pixels that the colours of the surface are continued
_FLAT, _MOST_GAIN = 0.02, 2.0  # a render that varies less has no pattern


@dataclass(frozen=True)
class OutlineSettings:
    """What the two sides of an outline are learned from.

    Attributes:
        around_px: colours are those within so many pixels along both axes.
        blur_px: standard deviation of the photo's blur.
        noise: of colours, added to what varies beside the outline.
        forgive: standard deviations at which a pixel counts as something else.
        least: pixels that a colour is learned from.
        sure_px: standard deviation of a stretch of outline, however sharp it is; stretches that ask to be moved by more
            count less.
        stretch_px: a stretch is what lies within so many pixels along both axes.
    """

    around_px: int = 6
    blur_px: float = 0.5
    noise: float = 0.03
    forgive: float = 3.0
    least: int = 6
    sure_px: float = 0.5
    stretch_px: int = 3


def coverage(view: View, poses: SE3, blur_px: float) -> tuple[Float[Tensor, "h y x"], Float[Tensor, "h 6 y x"]]:
    """Share of each pixel that the object covers, blurred as the photo, and its derivative."""
    seen = view.sensitivity(poses)
    planes = torch.cat([seen.values, seen.jacobian[:, :, 0]], -1).mT.contiguous().unflatten(-1, view.shape)
    blurred = _blurred(_blurred(planes, blur_px, 2), blur_px, 3)
    return blurred[:, 0], blurred[:, 1:]


@dataclass(frozen=True, eq=False)
class Sides:
    """Colours beside H outlines, through what they say of each pixel: |coverage · d − b|² of whitened differences of
    object − background (d) and pixel − background (b).

    Attributes:
        contrast: d · d.
        match: d · b.
        rest: b · b.
        weight: of pixels that have both sides beside them.
    """

    contrast: Float[Tensor, "h y x"]
    match: Float[Tensor, "h y x"]
    rest: Float[Tensor, "h y x"]
    weight: Float[Tensor, "h y x"]

    @classmethod
    def of(
        cls,
        view: View,
        shown: Shown,
        covered: Float[Tensor, "h y x"],
        usable: Bool[Tensor, "1 y x"],
        s: OutlineSettings,
    ) -> "Sides":
        """Learned from a photo and the outlines of H poses."""
        image = view.observed.mT.unflatten(-1, view.shape)[None]
        pattern = _pattern(image, shown, usable)
        inner = _learned(image - pattern, (covered > 1 - _EDGE) & usable, s.around_px)
        outer = _learned(image, (covered < _EDGE) & usable, s.around_px)
        covariance = (inner[2] + outer[2]) / 2
        covariance[..., :3] += s.noise**2
        ahead, beside = inner[1] + pattern.movedim(1, -1) - outer[1], image.movedim(1, -1) - outer[1]
        white = _solve(covariance, ahead)
        rest = (_solve(covariance, beside) * beside).sum(-1)
        near = (inner[0] >= s.least) & (outer[0] >= s.least) & usable
        sides = cls((white * ahead).sum(-1), (white * beside).sum(-1), rest, near.to(covered))
        return replace(sides, weight=sides.weight * sides._trust(covered, s))

    def _trust(self, covered: Float[Tensor, "h y x"], s: OutlineSettings) -> Float[Tensor, "h y x"]:
        """Weight of each stretch: by how far it asks to be moved, and so that none is surer than `sure_px`."""
        across, down = slopes(covered)
        slope = (across.square() + down.square()).sqrt()
        weight, force, _ = self._forgiven(covered, s.forgive)
        rows = torch.stack([weight * self.contrast * slope.square(), force * slope], 1)
        known, pull = _sums(_sums(rows, s.stretch_px, 2), s.stretch_px, 3).unbind(1)
        known = known.clamp_min(1e-6)  # running sums of nothing end a little below zero
        return 1 / ((1 + known * s.sure_px**2) * (1 + (pull / (known * s.sure_px)).square()))

    def _forgiven(
        self, covered: Float[Tensor, "h y x"], forgive: float
    ) -> tuple[Float[Tensor, "h y x"], Float[Tensor, "h y x"], Float[Tensor, "h y x"]]:
        """Weight of each pixel, ∂ loss / ∂ coverage, and squared error over that which is forgiven."""
        squared = (covered * (covered * self.contrast - 2 * self.match) + self.rest).clamp_min(0) / forgive**2
        weight = self.weight / (1 + squared)
        return weight, weight * (covered * self.contrast - self.match), squared

    def normal(
        self, covered: Float[Tensor, "h y x"], moves: Float[Tensor, "h 6 y x"], index: Int[Tensor, "h"], forgive: float
    ) -> Normal:
        """Normal equations of hypotheses `index`, which cover so much and change it so."""
        chosen = Sides(self.contrast[index], self.match[index], self.rest[index], self.weight[index])
        weight, force, squared = chosen._forgiven(covered, forgive)
        loss = 0.5 * forgive**2 * (torch.log1p(squared) * chosen.weight).sum((1, 2))
        rows = moves.flatten(2)
        matrix = (rows * (weight * chosen.contrast).flatten(1)[:, None]) @ rows.mT
        gradient = (rows @ force.flatten(1)[..., None])[..., 0]
        return Normal(matrix.double(), gradient.double(), loss.double())


def outline(view: View, poses: SE3, shown: Shown, usable: Bool[Tensor, "1 y x"], s: OutlineSettings) -> System:
    """The term of H poses, colours held as they are beside their outlines; `view` compares the channel "alpha"."""
    sides = Sides.of(view, shown, coverage(view, poses, s.blur_px)[0], usable, s)

    def system(state: State) -> Normal:
        return sides.normal(*coverage(view, state.cam_from_world, s.blur_px), state.index, s.forgive)

    return system


def _pattern(image: Float[Tensor, "1 3 y x"], shown: Shown, usable: Bool[Tensor, "1 y x"]) -> Float[Tensor, "h 3 y x"]:
    """What of the rendered colours the photo repeats, up to a constant, continued beyond the outline."""
    inside = (shown.inside & usable)[:, None].to(image)
    rgb = shown.rgb.movedim(-1, 1) * inside
    count = inside.sum((2, 3), keepdim=True).clamp_min(1)
    mean = rgb.sum((2, 3), keepdim=True) / count
    centred = (rgb - mean) * inside
    gain = (centred * image).sum((2, 3), keepdim=True) / (centred.square().sum((2, 3), keepdim=True) + _FLAT**2 * count)
    around = _sums(_sums(torch.cat([centred, inside], 1), _BEYOND, 2), _BEYOND, 3)
    beyond = around[:, :3] / around[:, 3:].clamp_min(1)
    return gain.clamp(0, _MOST_GAIN) * torch.where(inside > 0, centred, beyond)


def _learned(
    image: Float[Tensor, "h 3 y x"], side: Bool[Tensor, "h y x"], reach: int
) -> tuple[Float[Tensor, "h y x"], Float[Tensor, "h y x 3"], Float[Tensor, "h y x 6"]]:
    """How many pixels of a side lie around each, and mean and covariance (xx, yy, zz, xy, xz, yz) of their colours."""
    r, g, b = image.unbind(1)
    planes = torch.stack([torch.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, r * b, g * b], 1)
    sums = _sums(_sums(side[:, None] * planes, reach, 2), reach, 3).movedim(1, -1)
    count = sums[..., 0].round()
    moments = sums[..., 1:] / count.clamp_min(1e-6)[..., None]
    mean = moments[..., :3]
    x, y, z = mean.unbind(-1)
    return count, mean, moments[..., 3:] - torch.stack([x * x, y * y, z * z, x * y, x * z, y * z], -1)


def _sums(image: Float[Tensor, "h c y x"], reach: int, dim: int) -> Float[Tensor, "h c y x"]:
    """Sums of the 2 · reach + 1 values around each along a dimension."""
    n = image.shape[dim]
    total = torch.cat([torch.zeros_like(image.narrow(dim, 0, 1)), image.cumsum(dim)], dim)
    place = torch.arange(n, device=image.device)
    first, last = (place - reach).clamp_min(0), (place + reach + 1).clamp_max(n)
    return total.index_select(dim, last) - total.index_select(dim, first)


def _blurred(image: Float[Tensor, "h c y x"], sigma_px: float, dim: int) -> Float[Tensor, "h c y x"]:
    """Gaussian blur along a dimension, cut off at 3σ; of pixels in the image only."""
    n, reach = image.shape[dim], math.ceil(3 * sigma_px)
    weights = [math.exp(-0.5 * (k / max(sigma_px, 1e-6)) ** 2) for k in range(reach + 1)]
    found, total = image * weights[0], image.new_full((n,), weights[0])
    for k in range(1, min(reach, n - 1) + 1):
        found.narrow(dim, k, n - k).add_(image.narrow(dim, 0, n - k), alpha=weights[k])
        found.narrow(dim, 0, n - k).add_(image.narrow(dim, k, n - k), alpha=weights[k])
        total[k:] += weights[k]
        total[: n - k] += weights[k]
    return found.div_(total if dim == 3 else total[:, None])


def _solve(matrix: Float[Tensor, "*b 6"], vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """M⁻¹ v of symmetric matrices (xx, yy, zz, xy, xz, yz), by their cofactors."""
    a, b, c, d, e, f = matrix.unbind(-1)
    x, y, z = vector.unbind(-1)
    aa, bb, cc = b * c - f * f, a * c - e * e, a * b - d * d
    ab, ac, bc = e * f - d * c, d * f - e * b, d * e - a * f
    determinant = a * aa + d * ab + e * ac
    rows = [aa * x + ab * y + ac * z, ab * x + bb * y + bc * z, ac * x + bc * y + cc * z]
    return torch.stack(rows, -1) / determinant.clamp_min(1e-18)[..., None]
