"""A NeRF of random weights, small enough to be looked at from everywhere."""

import torch

from resect.geometry.sim3 import Sim3
from resect.geometry.so3 import exp
from resect.scenes.nerf.march import CoarseAndFine
from resect.scenes.nerf.scene import Nerf, ready
from resect.scenes.nerf.settings import NerfSettings
from resect.scenes.nerf.space import Space

TINY = NerfSettings(
    depth=3, width=24, octaves=2, view_octaves=1, samples=24, finer_samples=24, max_side=48, batch=256, steps=150,
    rate=5e-3, centre_steps=0, rays_at_once=512, tensorboard=False,
)  # fmt: skip


def random_nerf(settings: NerfSettings = TINY, warp: tuple[float, float] | None = None) -> Nerf:
    """Weights as they are drawn, densities somewhat raised, so that half of the rays stop."""
    networks = CoarseAndFine(settings, 1)
    for network in (networks.coarse, networks.fine):
        if network is not None and settings.view_directions:
            for layer in (*network.pts_linears, network.feature_linear, network.views_linears[0], network.rgb_linear):
                layer.weight.data *= 2.2
            network.alpha_linear.weight.data *= 6
    turn = exp(torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64))
    local_from_world = Sim3(torch.tensor(0.5).double(), turn, torch.tensor([0.1, 0.0, -0.2]).double())
    space = Space(local_from_world, 0.0, 1.0, warp) if warp else Space(local_from_world, 0.2, 3.0)
    box = torch.tensor([[-2.0] * 3, [2.0] * 3])
    return Nerf(ready(networks, settings), space, (0.3, 0.4, 0.5), box, settings)
