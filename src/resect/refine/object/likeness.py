"""How much renders of an object look like the part of a photo they cover, whatever lies around it."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from resect.refine.object.region import Region
from resect.refine.object.shown import Shown
from resect.refine.object.templates import Pictured, TemplateSettings, edge_score, pattern_score
from resect.refine.view import View

_OTHER = 0.3  # a colour that differs by more is that of something else


@dataclass(frozen=True)
class LikenessSettings:
    """Weights of what is compared.

    Attributes:
        region: of how well the outline separates colours (nats a pixel).
        edges: of the directions of edges, in [−1, 1].
        pattern: of the correlation of colours, in [−1, 1]: the pattern of a surface, and its shading too.
        colour: of the mean difference of colours, up to one exposure.
        template: how edges are found.
    """

    region: float = 1.0
    edges: float = 0.5
    pattern: float = 0.5
    colour: float = 0.0
    template: TemplateSettings = field(default_factory=TemplateSettings)


def likeness(view: View, region: Region, shown: Shown, s: LikenessSettings) -> Float[Tensor, "h"]:
    """Score of H renders, higher is better; −∞ where nothing is in view."""
    pictured = Pictured.of(view.observed.mT.unflatten(-1, view.shape), s.template)
    rgb, mask = shown.rgb.movedim(-1, 1), shown.inside.to(shown.rgb)
    score = s.region * region.gain(shown)
    if s.edges:
        score = score + s.edges * edge_score(rgb, mask, pictured, s.template).flatten()
    if s.pattern:
        score = score + s.pattern * pattern_score(rgb, mask, pictured).flatten()
    if s.colour:
        score = score - s.colour * _colour_gap(rgb, mask, pictured.rgb)
    return score.nan_to_num(-torch.inf)


def _colour_gap(
    rgb: Float[Tensor, "h 3 y x"], mask: Float[Tensor, "h y x"], photo: Float[Tensor, "3 y x"]
) -> Float[Tensor, "h"]:
    """Mean absolute difference over each silhouette, one bias common to all channels removed; what lies before it
    is forgiven.
    """
    weight = mask[:, None] / (3 * mask.sum((1, 2)).clamp_min(1))[:, None, None, None]
    gap = rgb - photo
    bias = (gap * weight).sum((1, 2, 3), keepdim=True)
    return ((gap - bias).abs().clamp_max(_OTHER) * weight).sum((1, 2, 3))
