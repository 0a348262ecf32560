"""VGG-16 as published, with torchvision's parameter names, so that its weight files load.

Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015. There is no
classifier.
"""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from resect.nn.backbone.stages import maps_by_stride

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class VGG16(nn.Module):
    """Images to feature maps: thirteen convolutions and five poolings, `features.0` … `features.30`."""

    map_channels: ClassVar = {2: 128, 4: 256, 8: 512, 16: 512, 32: 512}

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after, count in _STAGES:
            for _ in range(count):
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
                before = after
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)

    def maps(self, image: Float[Tensor, "b 3 h w"], deepest: int = 32) -> dict[int, Float[Tensor, "b c i j"]]:
        """The last features at each stride (2, 4, 8, 16, 32), no further than asked for."""
        return maps_by_stride(self.features, image, deepest)
