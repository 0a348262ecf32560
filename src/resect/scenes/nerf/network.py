"""The network of NeRF: from a point and a direction to density and colour. Names of weights are the released ones."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from resect.nn.encodings import fourier
from resect.scenes.nerf.settings import NerfSettings


class NerfNetwork(nn.Module):
    """One of the two networks.

    Args:
        settings: sizes.
        seed: of the first weights.
    """

    def __init__(self, settings: NerfSettings, seed: int) -> None:
        super().__init__()
        s, self.settings = settings, settings
        place, view = (3 * (1 + 2 * n) for n in (s.octaves, s.view_octaves))
        again = [0 if s.skip is None or k != s.skip + 1 else place for k in range(s.depth)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = [nn.Linear(s.width + again[k] if k else place, s.width) for k in range(s.depth)]
            self.pts_linears = nn.ModuleList(layers)
            if s.view_directions:
                self.views_linears = nn.ModuleList([nn.Linear(view + s.width, s.width // 2)])
                self.feature_linear = nn.Linear(s.width, s.width)
                self.alpha_linear = nn.Linear(s.width, 1)
                self.rgb_linear = nn.Linear(s.width // 2, 3)
            else:
                self.output_linear = nn.Linear(s.width, 4)

    def forward(
        self, points: Float[Tensor, "*b 3"], directions: Float[Tensor, "*b 3"]
    ) -> tuple[Float[Tensor, "*b 3"], Float[Tensor, "*b"]]:
        """Colour in [0, 1], and the density before it is made positive.

        Args:
            points: in the network's own frame.
            directions: unit, that they are seen along.
        """
        s, place = self.settings, fourier(points, self.settings.octaves)
        h = place
        for k, layer in enumerate(self.pts_linears):
            h = relu(layer(h))
            if k == s.skip:
                h = torch.cat([place, h], -1)
        if not s.view_directions:
            raw = self.output_linear(h)
            return raw[..., :3].sigmoid(), raw[..., 3]
        density = self.alpha_linear(h)[..., 0]
        seen = torch.cat([self.feature_linear(h), fourier(directions, s.view_octaves)], -1)
        return self.rgb_linear(relu(self.views_linears[0](seen))).sigmoid(), density
