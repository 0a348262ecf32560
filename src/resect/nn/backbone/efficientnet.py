"""EfficientNet-B0 as published, with torchvision's parameter names, so that its weight files load.

Tan, Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019. There is no classifier;
blocks are not dropped at random in training.
"""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from resect.nn.backbone.stages import maps_by_stride

_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Expansion, side of the depthwise kernel, stride of the first block, channels, blocks."""


class EfficientNetB0(nn.Module):
    """Images to feature maps: `features.0` … `features.8`."""

    map_channels: ClassVar = {2: 16, 4: 24, 8: 40, 16: 112, 32: 1280}

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = [_layer(3, 32, 3, stride=2)]
        before = 32
        for expansion, side, stride, after, count in _STAGES:
            blocks = []
            for i in range(count):
                blocks.append(_MBConv(before, after, side, stride if i == 0 else 1, expansion))
                before = after
            stages.append(nn.Sequential(*blocks))
        self.features = nn.Sequential(*stages, _layer(before, self.map_channels[32], 1))

    def maps(self, image: Float[Tensor, "b 3 h w"], deepest: int = 32) -> dict[int, Float[Tensor, "b c i j"]]:
        """The last features at each stride (2, 4, 8, 16, 32), no further than asked for."""
        return maps_by_stride(self.features, image, deepest)


class _MBConv(nn.Module):
    """1 × 1 expansion, depthwise convolution, squeeze and excitation, linear 1 × 1, beside a shortcut."""

    def __init__(self, before: int, after: int, side: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        layers: list[nn.Module] = [_layer(before, inner, 1)] if expansion != 1 else []
        layers.append(_layer(inner, inner, side, stride=stride, groups=inner))
        layers.append(_SqueezeExcitation(inner, max(1, before // 4)))
        layers.append(nn.Sequential(nn.Conv2d(inner, after, 1, bias=False), nn.BatchNorm2d(after)))
        self.block = nn.Sequential(*layers)
        self._shortcut = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """As many channels as asked for."""
        y: Tensor = self.block(x)
        return x + y if self._shortcut else y


class _SqueezeExcitation(nn.Module):
    """Each channel times a factor in (0, 1) that the means of all channels decide."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, inner, 1)
        self.fc2 = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        squeezed = nn.functional.silu(self.fc1(x.mean((2, 3), keepdim=True)))
        factor: Tensor = self.fc2(squeezed)
        return x * factor.sigmoid()


def _layer(before: int, after: int, side: int, *, stride: int = 1, groups: int = 1) -> nn.Module:
    convolution = nn.Conv2d(before, after, side, stride, side // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.SiLU(inplace=True))
