"""The occupancy network: an encoder of a picture or of points, and the decoder; parameters are named as released."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.nn.backbone.resnet import ResNet, normalize
from resect.nn.backbone.weights import load_weights, read_checkpoint
from resect.nn.conditional_norm import OccupancyDecoder
from resect.nn.point_net import PointNet
from resect.shape.settings import OccupancySettings


class ImageEncoder(nn.Module):
    """Pictures to codes: `features` (a ResNet) and `fc`."""

    def __init__(self, settings: OccupancySettings) -> None:
        super().__init__()
        self._pool = settings.pool
        self.features = ResNet(settings.encoder, settings.encoder_width)
        cells = 1 if settings.pool else _cells(settings.side) ** 2
        self.fc = nn.Linear(self.features.channels * cells, settings.code)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """RGB in [0, 1] to codes."""
        found = self.features.feature_map(normalize(image))
        return self.fc(found.mean((2, 3)) if self._pool else found.flatten(1))


class OccupancyNetwork(nn.Module):
    """`encoder` and `decoder`."""

    def __init__(self, settings: OccupancySettings) -> None:
        super().__init__()
        is_image = settings.input == "image"
        # The released point encoder has as many hidden features as its code is long.
        self.encoder = ImageEncoder(settings) if is_image else PointNet(settings.code, settings.code)
        self.decoder = OccupancyDecoder(settings.code, settings.width, settings.blocks, settings.frequencies)

    def forward(self, seen: Tensor, points: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n"]:
        """Logits of points being inside the shapes that were seen."""
        return self.decoder(points, self.encoder(seen))


def make_network(settings: OccupancySettings, seed: int) -> OccupancyNetwork:
    """A network with random weights of a seed, and pretrained ones in the encoder where asked for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = OccupancyNetwork(settings)
    if settings.pretrained and isinstance(network.encoder, ImageEncoder):
        found = read_checkpoint(settings.pretrained)
        load_weights(network.encoder.features, found, settings.pretrained, ignore=("fc.",))
    return network


def _cells(side: int) -> int:
    """Cells along the last feature map: five halvings, rounded up."""
    for _ in range(5):
        side = (side + 1) // 2
    return side
