"""The viewpoint network: crop → scores of the bins of azimuth, elevation and tilt, apart for each category."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.data.image import resize_area
from resect.nn.backbone.resnet import ResNet, normalize
from resect.nn.backbone.weights import load_weights, read_checkpoint
from resect.priors.viewpoint.settings import ViewpointSettings
from resect.priors.views import box_of
from resect.types import Photo

_LEAST_CONTRAST = 1e-3


class ViewpointNetwork(nn.Module):
    """ResNet features of the whole crop, two layers, one head with a slice of bins for each angle and category.

    Args:
        settings: how it is built.
        categories: how many.
    """

    def __init__(self, settings: ViewpointSettings, categories: int) -> None:
        super().__init__()
        self.shape = (3, categories, settings.bins)
        self.encoder = ResNet(settings.encoder, settings.encoder_width)
        cells = -(-settings.side // 32)
        widths = (self.encoder.channels * cells * cells, settings.hidden, settings.hidden)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(settings.dropout)]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(settings.hidden, 3 * categories * settings.bins)

    def forward(self, crop: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 c k"]:
        """Scores of crops in [0, 1]; the angles are azimuth, elevation, tilt."""
        features = self.encoder.feature_map(normalize(crop)).flatten(1)
        found: Tensor = self.head(self.trunk(features))
        return found.unflatten(1, self.shape)


def make_network(settings: ViewpointSettings, categories: int, seed: int) -> ViewpointNetwork:
    """A network with the weights of a seed, and a pretrained encoder where the settings name one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ViewpointNetwork(settings, categories)
    if settings.pretrained:
        found = read_checkpoint(settings.pretrained)
        load_weights(network.encoder, found, settings.pretrained, ignore=("fc.",))
    return network


def crop(photo: Photo, side: int) -> Float[Tensor, "3 s s"]:
    """What the target's visible box (else the whole photo) shows, stretched to a square, as published."""
    image = photo.image.detach().float().cpu()
    height, width = image.shape[:2]
    box = box_of(photo.target) or (0.0, 0.0, float(width), float(height))
    left, top = (min(max(0, round(low)), size - 1) for low, size in zip(box[:2], (width, height), strict=True))
    right, bottom = (max(1, round(high)) for high in box[2:])
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return resize_area(part, side, side).permute(2, 0, 1).contiguous()


def shows_nothing(seen: Float[Tensor, "3 s s"]) -> bool:
    """Whether a crop has no contrast."""
    return not float(seen.std()) > _LEAST_CONTRAST
