"""MobileNetV2 as published, with torchvision's parameter names, so that its weight files load.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018. There is no
classifier. With `same_padding` strided convolutions pad as TensorFlow does, for weights that were trained there.
"""

from collections import OrderedDict
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.nn.backbone.stages import maps_by_stride

_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks, stride of the first one."""
_EXPANDING = {8: 7, 16: 14}
"""Block that halves what has this stride, and expands it first by the factor of its stage."""


class MobileNetV2(nn.Module):
    """Images to feature maps: `features.0` … `features.18`.

    Args:
        same_padding: pad as TensorFlow does.
    """

    map_channels: ClassVar = {2: 16, 4: 24, 8: 32, 16: 96, 32: 1280}

    def __init__(self, same_padding: bool = False) -> None:
        super().__init__()
        blocks: list[nn.Module] = [_layer(3, 32, 3, stride=2, same=same_padding)]
        before = 32
        for expansion, after, count, stride in _STAGES:
            for i in range(count):
                blocks.append(_InvertedResidual(before, after, stride if i == 0 else 1, expansion, same_padding))
                before = after
        self.features = nn.Sequential(*blocks, _layer(before, self.map_channels[32], 1))

    def maps(self, image: Float[Tensor, "b 3 h w"], deepest: int = 32) -> dict[int, Float[Tensor, "b c i j"]]:
        """The last features at each stride (2, 4, 8, 16, 32), no further than asked for."""
        return maps_by_stride(self.features, image, deepest)

    def wide_maps(self, image: Float[Tensor, "b 3 h w"], deepest: int = 32) -> dict[int, Float[Tensor, "b c i j"]]:
        """As `maps`, but at strides 8 and 16, up to the deepest, as the next block expands them: where the published
        detector looks, too.
        """
        found = self.maps(image, deepest)
        return {stride: self._expanded(stride, x) if stride < deepest else x for stride, x in found.items()}

    def wide_channels(self, deepest: int = 32) -> dict[int, int]:
        """Channels of `wide_maps`, by stride."""
        wide = {stride: 6 * self.map_channels[stride] for stride in _EXPANDING if stride < deepest}
        return {**self.map_channels, **wide}

    def _expanded(self, stride: int, x: Tensor) -> Tensor:
        if stride not in _EXPANDING:
            return x
        expand: nn.Module = self.features[_EXPANDING[stride]].conv[0]  # type: ignore[index, assignment]
        y: Tensor = expand(x)
        return y


class _InvertedResidual(nn.Module):
    """1 × 1 expansion, depthwise 3 × 3, linear 1 × 1, beside a shortcut where the shapes agree."""

    def __init__(self, before: int, after: int, stride: int, expansion: int, same: bool) -> None:
        super().__init__()
        inner = before * expansion
        layers: list[nn.Module] = [_layer(before, inner, 1)] if expansion != 1 else []
        layers.append(_layer(inner, inner, 3, stride=stride, groups=inner, same=same))
        self.conv = nn.Sequential(*layers, nn.Conv2d(inner, after, 1, bias=False), nn.BatchNorm2d(after))
        self._shortcut = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """As many channels as asked for."""
        y: Tensor = self.conv(x)
        return x + y if self._shortcut else y


def _layer(before: int, after: int, side: int, *, stride: int = 1, groups: int = 1, same: bool = False) -> nn.Module:
    kind = SameConv2d if same and stride > 1 else nn.Conv2d
    return nn.Sequential(
        OrderedDict(
            [
                ("0", kind(before, after, side, stride, side // 2, groups=groups, bias=False)),
                ("1", nn.BatchNorm2d(after)),
                ("2", nn.ReLU6(inplace=True)),
            ]
        )
    )


class SameConv2d(nn.Conv2d):
    """A strided convolution padded as TensorFlow does: ⌈n / stride⌉ outputs, the odd zero at the right and bottom."""

    def forward(self, input: Tensor) -> Tensor:
        """Features at a `stride`-th of the size."""
        (side, _), (stride, _) = self.kernel_size, self.stride
        spare = [max((-(-n // stride) - 1) * stride + side - n, 0) for n in input.shape[-2:]]
        (top, left) = (n // 2 for n in spare)
        padded = torch.nn.functional.pad(input, (left, spare[1] - left, top, spare[0] - top))
        return torch.nn.functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)
