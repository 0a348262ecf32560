"""Both networks of a NeRF along rays: the coarse one says where the fine one should look."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from resect.scenes.nerf.network import NerfNetwork
from resect.scenes.nerf.settings import NerfSettings
from resect.scenes.nerf.space import Space
from resect.scenes.volume import Composite, composite, resampled, spread_samples

_MANY_TIMES = 10.0


class CoarseAndFine(nn.Module):
    """Both networks; there is no second one where there are no finer samples.

    Args:
        settings: sizes.
        seed: of the first weights.
    """

    def __init__(self, settings: NerfSettings, seed: int) -> None:
        super().__init__()
        self.settings = settings
        self.coarse = NerfNetwork(settings, 2 * seed)
        self.fine = NerfNetwork(settings, 2 * seed + 1) if settings.finer_samples else None

    def forward(
        self,
        space: Space,
        origin: Float[Tensor, "n 3"],
        direction: Float[Tensor, "n 3"],
        background: Float[Tensor, "3"],
    ) -> list[tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]]]:
        """Colours of local rays by each network, sampled as for training, and mean places along the rays."""
        found = march(self, space, origin, direction, background, training=True)
        return [(f.rgb, (f.weight * at).sum(-1) / f.alpha.clamp_min(1e-3)) for f, at in found]


def march(
    networks: CoarseAndFine,
    space: Space,
    origin: Float[Tensor, "n 3"],
    direction: Float[Tensor, "n 3"],
    background: Float[Tensor, "3"],
    *,
    training: bool = False,
) -> list[tuple[Composite, Float[Tensor, "n s"]]]:
    """What local rays show by the coarse network, then by the fine one where there is one, with places of the samples.

    Args:
        networks: both.
        space: of the rays.
        origin, direction: of the rays, before any warp; unit directions.
        background: behind everything.
        training: samples are jittered, and densities are noisy where the settings say so.
    """
    o, d = space.warped(origin, direction)
    near, far = space.span(o, d)
    hit = near < far
    if bool(hit.all()):
        return _march(networks, space, o, d, direction, (near, far), background, training)
    found = _march(networks, space, o[hit], d[hit], direction[hit], (near[hit], far[hit]), background, training)
    return [(_among(c, hit, background), _spread(at, hit)) for c, at in found]


def _march(
    networks: CoarseAndFine,
    space: Space,
    o: Float[Tensor, "n 3"],
    d: Float[Tensor, "n 3"],
    seen_along: Float[Tensor, "n 3"],
    span: tuple[Float[Tensor, "n"], Float[Tensor, "n"]],
    background: Float[Tensor, "3"],
    training: bool,
) -> list[tuple[Composite, Float[Tensor, "n s"]]]:
    """The same of warped rays that meet what there is."""
    s, length = networks.settings, d.norm(dim=-1)
    noise = s.density_noise if training else 0.0

    def look(network: NerfNetwork, at: Tensor) -> Composite:
        points = o[:, None] + d[:, None] * at[..., None]
        colour, raw = network(points, seen_along[:, None].expand_as(points))
        raw = raw + noise * torch.randn_like(raw) if noise else raw
        return composite(colour, torch.relu(raw), at, length, background)

    inverse = space.far > _MANY_TIMES * space.near if s.in_disparity is None else s.in_disparity
    inverse = inverse and space.near > 0
    at = spread_samples(*span, s.samples, len(o), in_disparity=inverse, jitter=training, device=o.device)
    coarse = look(networks.coarse, at)
    if networks.fine is None:
        return [(coarse, at)]
    finer = resampled(at, coarse.weight, s.finer_samples, jitter=training)
    return [(coarse, at), (look(networks.fine, finer), finer)]


def _among(found: Composite, hit: Bool[Tensor, "n"], background: Float[Tensor, "3"]) -> Composite:
    """What all rays show, where only those that `hit` were looked along."""
    rgb = background.to(found.rgb).expand(len(hit), 3).index_put((hit,), found.rgb)
    return Composite(rgb, _spread(found.weight, hit))


def _spread(values: Float[Tensor, "k s"], hit: Bool[Tensor, "n"]) -> Float[Tensor, "n s"]:
    return values.new_zeros(len(hit), values.shape[1]).index_put((hit,), values)
