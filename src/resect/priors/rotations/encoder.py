"""The image network in front: the first stages of a ResNet, perhaps with published weights."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.nn.backbone.make import find_weights
from resect.nn.backbone.resnet import ResNet, normalize
from resect.nn.backbone.weights import load_weights, read_checkpoint
from resect.priors.rotations.settings import RotationSettings


class Encoder(nn.Module):
    """Pictures to a feature map.

    Args:
        settings: which network, how wide and how much of it.
    """

    def __init__(self, settings: RotationSettings) -> None:
        super().__init__()
        self.normalize = settings.normalize
        self.stride = 2 << settings.stages
        self.body = ResNet(settings.encoder, settings.encoder_width)
        self.channels = self.body.map_channels[self.stride]
        self.size = -(-settings.side // self.stride)
        for k in range(settings.stages, 4):
            setattr(self.body, f"layer{k + 1}", nn.Identity())

    def forward(self, picture: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c i j"]:
        """Of pictures in [0, 1]."""
        found: Tensor = self.body.maps(normalize(picture) if self.normalize else picture)[self.stride]
        return found


def read_pretrained(encoder: Encoder, settings: RotationSettings) -> None:
    """Puts in the published weights that the settings name, if any."""
    if settings.pretrained:
        path = find_weights(settings.encoder, settings.pretrained)
        unused = tuple(f"layer{k + 1}." for k in range(settings.stages, 4))
        load_weights(encoder.body, read_checkpoint(path), path, ignore=("fc.", *unused))


def seeded(make: "type[nn.Module]", *arguments: object, seed: int) -> nn.Module:
    """A network with the weights of a seed; the global random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(*arguments)
