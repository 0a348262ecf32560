"""How much renders of an object look like the part of a photo they cover, whatever lies around it."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from resect.refine.object.region import Region
from resect.refine.object.shown import Shown
from resect.refine.object.templates import Pictured, TemplateSettings, compare
from resect.refine.view import View


@dataclass(frozen=True)
class LikenessSettings:
    """Weights of what is compared.

    Attributes:
        region: of how well the outline separates colours (nats a pixel).
        looks: of edges and colour.
        template: what these compare.
    """

    region: float = 1.0
    looks: float = 1.0
    template: TemplateSettings = field(default_factory=TemplateSettings)


def likeness(view: View, region: Region, shown: Shown, s: LikenessSettings) -> Float[Tensor, "h"]:
    """Score of H renders, higher is better; −∞ where nothing is in view."""
    pictured = Pictured.of(view.observed.mT.unflatten(-1, view.shape), s.template)
    looks = compare(shown.rgb.movedim(-1, 1), shown.inside, pictured, s.template).flatten()
    return (s.looks * looks + s.region * region.gain(shown)).nan_to_num(-torch.inf)
