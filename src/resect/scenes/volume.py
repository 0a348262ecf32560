"""Rays through a volume: where they are sampled, and what the samples add up to.

Reference: Mildenhall et al., "NeRF: Representing Scenes as Neural Radiance Fields for View Synthesis", ECCV 2020,
sections 4, 5.2 and appendix A.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_LAST = 1e10  # length of the interval behind the last sample: what is dense there is opaque
_FLOOR = 1e-10
_NO_WEIGHT = 1e-5


@dataclass(frozen=True, eq=False)
class Composite:
    """What N rays show.

    Attributes:
        rgb: colour, laid on the background.
        weight: of each sample; their sum is the opacity.
    """

    rgb: Float[Tensor, "n 3"]
    weight: Float[Tensor, "n s"]

    @property
    def alpha(self) -> Float[Tensor, "n"]:
        """Opacity."""
        return self.weight.sum(-1)


def composite(
    colour: Float[Tensor, "n s 3"],
    density: Float[Tensor, "n s"],
    at: Float[Tensor, "n s"],
    length: Float[Tensor, "n"],
    background: Float[Tensor, "3"],
) -> Composite:
    """Colour of rays by the quadrature of the paper (eq. 3): each interval is as dense as the sample at its start.

    Args:
        colour: of the samples.
        density: of the samples, ≥ 0, per unit of length.
        at: where they lie along their rays, ascending.
        length: of the rays' directions, which `at` counts in.
        background: behind everything.
    """
    gap = torch.cat([at[:, 1:] - at[:, :-1], torch.full_like(at[:, :1], _LAST)], -1) * length[:, None]
    opacity = 1 - torch.exp(-density * gap)
    light = torch.cumprod(torch.cat([torch.ones_like(opacity[:, :1]), 1 - opacity + _FLOOR], -1), -1)[:, :-1]
    weight = opacity * light
    rgb = (weight[..., None] * colour).sum(-2) + (1 - weight.sum(-1, keepdim=True)) * background
    return Composite(rgb, weight)


def spread_samples(
    near: float | Float[Tensor, "n"],
    far: float | Float[Tensor, "n"],
    count: int,
    rays: int,
    *,
    in_disparity: bool = False,
    jitter: bool = False,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "n s"]:
    """Samples from `near` to `far`, evenly in distance or in its inverse.

    Args:
        near, far: where the first and the last one lie, of all rays or of each.
        count: on a ray.
        rays: how many rays.
        in_disparity: even steps of 1/t; `near` must be above 0.
        jitter: one uniform draw, by the global random state, in each interval between middles of neighbours.
        device: of the result.
    """
    u = torch.linspace(0, 1, count, device=device)
    near, far = (x[:, None] if isinstance(x, Tensor) else x for x in (near, far))
    at = 1 / (1 / near * (1 - u) + 1 / far * u) if in_disparity else near * (1 - u) + far * u
    at = at.expand(rays, count)
    if not jitter:
        return at
    middle = 0.5 * (at[:, 1:] + at[:, :-1])
    low, high = torch.cat([at[:, :1], middle], -1), torch.cat([middle, at[:, -1:]], -1)
    return low + (high - low) * torch.rand(rays, count, device=device)


def resampled(
    at: Float[Tensor, "n s"], weight: Float[Tensor, "n s"], count: int, *, jitter: bool = False
) -> Float[Tensor, "n m"]:
    """`at` together with `count` further samples where the weights are, all ascending, without a gradient.

    Inverse transform sampling of the density that is constant between the middles of neighbouring samples, in
    proportion to the weight of the sample between them. Even steps of the cumulated density, both ends among them, or,
    with `jitter`, uniform draws.
    """
    at, weight = at.detach(), weight.detach()
    edges = 0.5 * (at[:, 1:] + at[:, :-1])
    share = weight[:, 1:-1] + _NO_WEIGHT
    total = torch.cumsum(share / share.sum(-1, keepdim=True), -1)
    total = torch.cat([torch.zeros_like(total[:, :1]), total], -1)
    size = (len(at), count)
    u = torch.rand(size, device=at.device) if jitter else torch.linspace(0, 1, count, device=at.device).expand(size)
    above = torch.searchsorted(total, u.contiguous(), right=True)
    low, high = (above - 1).clamp_min(0), above.clamp_max(total.shape[-1] - 1)
    from_share, to_share = total.gather(-1, low), total.gather(-1, high)
    from_edge, to_edge = edges.gather(-1, low), edges.gather(-1, high)
    step = to_share - from_share
    part = (u - from_share) / torch.where(step < _NO_WEIGHT, torch.ones_like(step), step)
    return torch.cat([at, from_edge + part * (to_edge - from_edge)], -1).sort(-1).values


def mean_at(found: Composite, at: Float[Tensor, "n s"]) -> Float[Tensor, "n"]:
    """Mean place along the ray of what stops the light; −1 where nothing does."""
    alpha = found.alpha
    mean = (found.weight * at).sum(-1) / alpha.clamp_min(_FLOOR)
    return torch.where(alpha > 1e-3, mean, -torch.ones_like(mean))


def median_at(found: Composite, at: Float[Tensor, "n s"]) -> Float[Tensor, "n"]:
    """First place along the ray before which half of what stops the light lies; −1 where nothing does."""
    total = found.weight.cumsum(-1)
    index = (total < 0.5 * total[:, -1:]).sum(-1).clamp_max(at.shape[-1] - 1)
    median = at.gather(-1, index[:, None])[:, 0]
    return torch.where(total[:, -1] > 1e-3, median, -torch.ones_like(median))
