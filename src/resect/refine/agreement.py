"""How much a render looks like a photo: correlations that an exposure change does not move."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.objectives import LocalContrast, correlation
from resect.refine.view import View


@dataclass(frozen=True, eq=False)
class Agreement:
    """Correlations of H renders with one photo, each in [−1, 1].

    Attributes:
        colour: of colours, each channel's mean removed.
        detail: of colours with the local mean removed and the local contrast evened out.
    """

    colour: Float[Tensor, "h"]
    detail: Float[Tensor, "h"]

    @property
    def both(self) -> Float[Tensor, "h"]:
        """Their mean."""
        return 0.5 * (self.colour + self.detail)


def colour_agreement(view: View, values: Float[Tensor, "h n c"]) -> Float[Tensor, "h"]:
    """Correlation of colours."""
    return correlation(_centred(values, view.weight), _centred(view.observed[None], view.weight))


def agreement(view: View, cam_from_world: SE3, *, sigma_px: float = 3.0) -> Agreement:
    """Renders H poses and compares them.

    Args:
        sigma_px: window of the local contrast.
    """
    return agreement_of(view, view.shown(cam_from_world), sigma_px=sigma_px)


def agreement_of(view: View, values: Float[Tensor, "h n c"], *, sigma_px: float = 3.0) -> Agreement:
    """Compares H renders that were made before."""
    contrast = LocalContrast(*view.shape, sigma_px=sigma_px)
    detail = [_centred(contrast.of(v).unflatten(1, v.shape[1:]), view.weight) for v in (values, view.observed[None])]
    return Agreement(colour_agreement(view, values), correlation(detail[0], detail[1]))


def _centred(values: Tensor, weight: Tensor) -> Tensor:
    share = (weight / weight.sum().clamp_min(1e-9))[:, None]
    mean = (values * share).sum(1, keepdim=True)
    return ((values - mean) * weight.sqrt()[:, None]).flatten(1)
