"""Colour on the rendered surface against the photo: only where the object is rendered, whatever lies around it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.refine import exposure
from resect.refine.levenberg_marquardt import Normal
from resect.refine.object.shown import Shown, grown, slopes, some_of
from resect.refine.robust import Robust
from resect.refine.view import View


@dataclass(frozen=True)
class SurfaceSettings:
    """How colours are compared.

    Attributes:
        strength: what the mean square over the silhouette is multiplied by, against the sum of the outline's terms; 0
            leaves colour out.
        scale: colour difference at which a pixel is forgiven, as an occluder or a highlight.
        border_px: pixels left out along the outline, where neither side is sure.
        most: pixels that a step looks at.
        gain_sigma: spread of the photo's gain about the scene's, in each channel.
        bias_sigma: the same of a bias.
    """

    strength: float = 300.0
    scale: float = 0.1
    border_px: int = 1
    most: int = 768
    gain_sigma: float = 0.5
    bias_sigma: float = 0.2


def surface(view: View, shown: Shown, s: SurfaceSettings) -> Normal:
    """Rows gain · render + bias − photo over the inside of each silhouette, gain and bias eliminated per channel.

    The picture of the surface moves with the points it shows: d(colour at a pixel) = −∇colour · motion.
    """
    inner = grown(shown.inside, -max(1, s.border_px)) & (view.weight > 0.5).reshape(1, *view.shape)
    index, stands_for = some_of(inner, s.most)
    planes = shown.rgb.movedim(-1, 1).contiguous()
    values, slope_x, slope_y = (_taken(x, index) for x in (planes, *slopes(planes)))
    jacobian = -torch.stack([slope_x, slope_y], -1) @ shown.motion(index)
    observed = view.observed[index]
    base = stands_for[..., None].expand_as(values)
    known, robust = exposure.Exposure(s.gain_sigma, s.bias_sigma), Robust("cauchy", s.scale)
    weight, residual, gain = base, values - observed, base
    for _ in range(2):
        gain_bias = exposure.fit(values, observed, weight, known)
        gain = gain_bias[:, None, :, 0].expand_as(base)
        residual = gain * values + gain_bias[:, None, :, 1] - observed
        weight = base * robust.weight(residual)
    scaled = gain[..., None] * jacobian
    flat = scaled.flatten(1, 2)
    weighted = (flat * weight.flatten(1)[..., None]).mT
    matrix = exposure.eliminate(weighted @ flat, scaled, values, weight, known)
    gradient = (weighted @ residual.flatten(1)[..., None])[..., 0]
    loss = (base * robust.loss(residual)).flatten(1).sum(1)
    share = (s.strength / base.flatten(1).sum(1).clamp_min(1.0)).double()
    return Normal(matrix.double() * share[:, None, None], gradient.double() * share[:, None], loss.double() * share)


def _taken(image: Float[Tensor, "h 3 y x"], index: Int[Tensor, "h k"]) -> Float[Tensor, "h k 3"]:
    return image.flatten(2).gather(2, index[:, None].expand(-1, 3, -1)).mT
