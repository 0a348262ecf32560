"""Both networks of a NeRF along rays: the coarse one says where the fine one should look."""

import torch
from jaxtyping import Float
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
    ) -> list[Float[Tensor, "n 3"]]:
        """Colours of local rays by each network, sampled as for training."""
        return [found.rgb for found, _ in march(self, space, origin, direction, background, training=True)]


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
    s = networks.settings
    o, d = space.warped(origin, direction)
    length = d.norm(dim=-1)
    noise = s.density_noise if training else 0.0

    def look(network: NerfNetwork, at: Tensor) -> Composite:
        points = o[:, None] + d[:, None] * at[..., None]
        colour, raw = network(points, direction[:, None].expand_as(points))
        raw = raw + noise * torch.randn_like(raw) if noise else raw
        return composite(colour, torch.relu(raw), at, length, background)

    inverse = space.far > _MANY_TIMES * space.near if s.in_disparity is None else s.in_disparity
    at = spread_samples(
        space.near,
        space.far,
        s.samples,
        len(o),
        in_disparity=inverse and space.near > 0,
        jitter=training,
        device=o.device,
    )
    coarse = look(networks.coarse, at)
    if networks.fine is None:
        return [(coarse, at)]
    finer = resampled(at, coarse.weight, s.finer_samples, jitter=training)
    return [(coarse, at), (look(networks.fine, finer), finer)]
