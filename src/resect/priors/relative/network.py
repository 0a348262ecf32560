"""The networks: latents of a photo and of a reference to the pose of the one seen from the other.

Layers: [query ‖ reference] → 2h → h → 3 and 4 numbers, a row of layers each, as published with pose auto-encoders
(Shavit, Keller, ECCV 2022). Transformer: six tokens, of which the first two are learned and become position and
rotation (iterative absolute pose regression, the same authors). What differs: latents are the teacher's, which is not
trained further; the transformer's encoder runs once for both answers; it begins at "no motion".
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.priors.relative.settings import RelativeSettings


class RelativeNetwork(nn.Module):
    """Latents to a relative pose.

    Args:
        settings: how it is built.
        latent: length of a latent, position and rotation together.
    """

    def __init__(self, settings: RelativeSettings, latent: int) -> None:
        super().__init__()
        s = settings
        self.norm = nn.BatchNorm1d(latent, affine=False)
        self.transformer: nn.Module | None = None
        if s.network == "transformer":
            width = latent // 2
            layer = nn.TransformerEncoderLayer(width, s.heads, s.inner, s.dropout, "gelu", batch_first=True)
            self.transformer = nn.TransformerEncoder(layer, s.layers, nn.LayerNorm(width), enable_nested_tensor=False)
            self.tokens = nn.Parameter(torch.zeros(2, width))
            widths: tuple[int, ...] = (width, 4 * width)
        else:
            widths = (2 * latent, 2 * s.hidden, s.hidden)
        self.x_reg, self.q_reg = (_layers((*widths, numbers), s.dropout) for numbers in (3, 4))

    def forward(
        self, query: Float[Tensor, "b l"], reference: Float[Tensor, "b l"]
    ) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 4"]]:
        """Position of the photo less that of the reference, in the frame's units, and the rotation between them."""
        both = self.norm(torch.cat([query, reference]))
        query, reference = both.chunk(2)
        if self.transformer is None:
            row = torch.cat([query, reference], -1)
            return self.x_reg(row), self.q_reg(row)
        parts = [part for latent in (query, reference) for part in latent.chunk(2, -1)]
        tokens = torch.cat([self.tokens.expand(len(query), -1, -1), torch.stack(parts, 1)], 1)
        made = self.transformer(tokens)
        return self.x_reg(made[:, 0]), self.q_reg(made[:, 1])


def _layers(widths: tuple[int, ...], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        linear = nn.Linear(before, after)
        nn.init.kaiming_normal_(linear.weight)
        layers += [linear, nn.ReLU(), nn.Dropout(dropout)]
    last = layers[-3]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)  # begin at "no motion"
    nn.init.zeros_(last.bias)
    if widths[-1] == 4:
        with torch.no_grad():
            last.bias[0] = 1.0
    return nn.Sequential(*layers[:-2])
