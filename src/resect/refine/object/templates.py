"""Search by templates: hundreds of small renders slid over a photo at once, as one convolution.

Each candidate rotation and distance is rendered once; its place in the photo is then found by correlation, so three of
the six dimensions cost nothing. Compared are the directions of colour edges, which light does not change, and colour
itself after the best exposure.

References: Hinterstoisser et al., "Gradient response maps for real-time detection of textureless objects", PAMI 2012
(directions of the strongest colour channel; here doubled angles and a convolution instead of bins and bit masks).
"""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.linearize import channel_of
from resect.refine.object.shown import slopes
from resect.refine.objectives import blur
from resect.refine.view import View

_CHUNK = 512


@dataclass(frozen=True)
class TemplateSettings:
    """What is compared.

    Attributes:
        colour: share of colour in the score, the rest is edges.
        outline: strength of the rendered outline against edges of its texture.
        spread_px: blur of the photo's edges, so that neighbours on the grid of candidates still overlap.
        soft: edges weaker than this part of the mean count little.
    """

    colour: float = 0.5
    outline: float = 1.0
    spread_px: float = 1.0
    soft: float = 1.0


@dataclass(frozen=True, eq=False)
class Found:
    """Poses of the best places of the best templates.

    Attributes:
        cam_from_world: K poses.
        score: in [−1, 1], higher is better.
        candidate: index of each one's template.
    """

    cam_from_world: SE3
    score: Float[Tensor, "k"]
    candidate: Int[Tensor, "k"]


def slide(
    view: View, candidates: SE3, center: Float[Tensor, "3"], size_px: int, reach_px: int, s: TemplateSettings
) -> tuple[Float[Tensor, "n y x"], SE3]:
    """Scores of N candidates at every shift up to `reach_px` pixels.

    Args:
        view: the part of the photo that is searched.
        candidates: poses; only their rotation and distance matter, all are laid at the first one's place.
        center: of the object, world units.
        size_px: side of a template; must hold the object.

    Returns:
        Scores, shifts in row order from (−reach, −reach); and the candidates at the common place.
    """
    placed, pixel = _at_one_place(view, candidates, center)
    left, top = (round(float(x)) - size_px // 2 for x in pixel)
    camera = view.camera.crop(left, top, size_px, size_px)
    photo = Pictured.of(_padded(view, left - reach_px, top - reach_px, size_px + 2 * reach_px), s)
    parts = []
    for k in range(0, len(placed), _CHUNK):
        some = placed[k : k + _CHUNK]
        shown = view.scene.render(camera, some, ("rgb", "alpha"))
        view.meter.rays += len(some) * size_px**2
        view.meter.images += len(some) * size_px**2 / view.full
        rgb = channel_of(shown, "rgb").mT.unflatten(-1, (size_px, size_px))
        inside = (channel_of(shown, "alpha")[..., 0] > 0.5).unflatten(-1, (size_px, size_px))
        parts.append(compare(rgb, inside, photo, s))
    return torch.cat(parts), placed


@dataclass(frozen=True, eq=False)
class Pictured:
    """What templates are compared with: colours and edges of a photo."""

    rgb: Float[Tensor, "3 y x"]
    edges: Float[Tensor, "2 y x"]

    @classmethod
    def of(cls, rgb: Float[Tensor, "3 y x"], s: TemplateSettings) -> Self:
        """From colours."""
        return cls(rgb, blur(_edges(rgb, s).movedim(0, -1), s.spread_px).movedim(-1, 0))


def compare(
    rgb: Float[Tensor, "h 3 v u"], inside: Bool[Tensor, "h v u"], photo: Pictured, s: TemplateSettings
) -> Float[Tensor, "h y x"]:
    """Scores of H renders at every place of a photo that holds them."""
    mask = inside.to(rgb)
    edge, colour = edge_score(rgb, mask, photo, s), pattern_score(rgb, mask, photo)
    return (1 - s.colour) * edge + s.colour * colour


def pick(view: View, scores: Float[Tensor, "n y x"], placed: SE3, center: Float[Tensor, "3"], keep: int) -> Found:
    """The best shift of each candidate, then the best candidates."""
    reach = scores.shape[-1] // 2
    best, where = scores.flatten(1).max(1)
    order = best.nan_to_num(-9.0).topk(min(keep, len(best))).indices
    dy, dx = where[order] // scores.shape[-1] - reach, where[order] % scores.shape[-1] - reach
    chosen = placed[order]
    z = chosen.apply(center.to(chosen.t).expand(len(chosen), 1, 3))[:, 0, 2]
    step = torch.stack([dx / view.camera.fx, dy / view.camera.fy, torch.zeros_like(z)], -1) * z[:, None]
    return Found(SE3(chosen.R, chosen.t + step.to(chosen.t)), best[order], order)


def _at_one_place(view: View, candidates: SE3, center: Tensor) -> tuple[SE3, Float[Tensor, "2"]]:
    """Candidates moved across the optical axis so that the object's middle falls on the first one's pixel."""
    middle = candidates.apply(center.to(candidates.t).expand(len(candidates), 1, 3))[:, 0]
    first = middle[0] / middle[0, 2].clamp_min(1e-9)
    moved = candidates.t + first * middle[:, 2:] - middle
    pixel, _ = view.camera.project(first[None])
    return SE3(candidates.R, moved), pixel[0]


def _padded(view: View, left: int, top: int, side: int) -> Float[Tensor, "3 y x"]:
    """A square of the photo, edge pixels repeated outside of it."""
    height, width = view.shape
    x = torch.arange(left, left + side).clamp(0, width - 1)
    y = torch.arange(top, top + side).clamp(0, height - 1)
    return view.observed.unflatten(0, (height, width))[y[:, None], x[None]].movedim(-1, 0)


def _edges(image: Float[Tensor, "*b 3 y x"], s: TemplateSettings) -> Float[Tensor, "*b 2 y x"]:
    """Doubled direction of the strongest channel's gradient, times how sure it is, in [0, 1]."""
    gx, gy = slopes(image)
    power = gx.square() + gy.square()
    strongest = power.argmax(-3, keepdim=True)
    gx, gy, power = (x.gather(-3, strongest).squeeze(-3) for x in (gx, gy, power))
    size = power.sqrt()
    floor = s.soft * size.mean((-2, -1), keepdim=True) + 1e-3
    doubled = torch.stack([gx * gx - gy * gy, 2 * gx * gy], -3) / power.clamp_min(1e-12).unsqueeze(-3)
    return doubled * (size / (size + floor)).unsqueeze(-3)


def edge_score(
    rgb: Float[Tensor, "h 3 v u"], mask: Float[Tensor, "h v u"], photo: Pictured, s: TemplateSettings
) -> Float[Tensor, "h y x"]:
    """Mean cosine of doubled angles, weighted by how sure the template's edges are."""
    inner = _edges(_filled(rgb, mask), s)
    core = 1 - torch.nn.functional.max_pool2d(1 - mask[:, None], 3, 1, 1)
    soft = torch.nn.functional.avg_pool2d(mask[:, None], 3, 1, 1)
    gx, gy = slopes(soft[:, 0])
    power = (gx.square() + gy.square()).clamp_min(1e-12)
    outline = torch.stack([gx * gx - gy * gy, 2 * gx * gy], 1) / power.sqrt()[:, None]
    template = inner * core + 2 * s.outline * outline
    strength = template.square().sum(1).sqrt().sum((1, 2)).clamp_min(1e-6)
    return torch.nn.functional.conv2d(photo.edges[None], template)[0] / strength[:, None, None]


def _filled(rgb: Tensor, mask: Tensor) -> Tensor:
    """Background set to the mean colour of the object, so that its own edge is not an edge of the texture."""
    weight = mask[:, None]
    mean = (rgb * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(1.0)
    return torch.where(weight > 0.5, rgb, mean)


def pattern_score(
    rgb: Float[Tensor, "h 3 v u"], mask: Float[Tensor, "h v u"], photo: Pictured
) -> Float[Tensor, "h y x"]:
    """Correlation of colours over the mask, each channel's mean removed: blind to bias and to a common gain."""
    weight = mask[:, None]
    count = weight.sum((1, 2, 3)).clamp_min(1.0)[:, None, None]
    mean = (rgb * weight).sum((2, 3), keepdim=True) / count[:, None]
    centred = (rgb - mean) * weight
    conv = torch.nn.functional.conv2d
    across = conv(photo.rgb[None], centred)[0]
    sums = conv(photo.rgb[:, None], weight)
    squares = conv(photo.rgb.square().sum(0)[None, None], weight)[0]
    variance = (squares - (sums.square().sum(0) / count)).clamp_min(0)
    own = centred.square().sum((1, 2, 3))[:, None, None]
    floor = 3 * 0.02**2 * count  # flat objects have no pattern to correlate: noise must not decide
    return across / ((own + floor) * (variance + floor)).sqrt()
