"""ResNet-18, -34, -50 and -101 as published, with torchvision's parameter names, so that its weight files load.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016. As in torchvision, the stride of a
bottleneck is in its 3 × 3 convolution. What differs: `width` scales all channels, and there is no classifier.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.errors import unknown_name

ResNetName = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
_LAYERS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
}


class ResNet(nn.Module):
    """Images to a vector: `conv1`, `bn1`, `layer1` … `layer4`, then the mean over what is left of the image.

    Args:
        name: which one.
        width: channels after the first convolution; published 64.
    """

    def __init__(self, name: ResNetName = "resnet18", width: int = 64) -> None:
        super().__init__()
        if name not in _LAYERS:
            raise unknown_name("ResNet", name, _LAYERS)
        bottleneck = name in ("resnet50", "resnet101")
        wider = 4 if bottleneck else 1
        self.channels = width * 8 * wider
        self.map_channels = {2: width} | {4 * 2**k: width * 2**k * wider for k in range(4)}
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        before = width
        for k, count in enumerate(_LAYERS[name]):
            inner = width * 2**k
            blocks: list[nn.Module] = []
            for i in range(count):
                stride = 2 if i == 0 and k > 0 else 1
                block = Bottleneck(before, inner, stride) if bottleneck else BasicBlock(before, inner, stride)
                blocks.append(block)
                before = block.channels
            setattr(self, f"layer{k + 1}", nn.Sequential(*blocks))

    def maps(self, image: Float[Tensor, "b 3 h w"], deepest: int = 32) -> dict[int, Float[Tensor, "b c i j"]]:
        """The last features at each stride (2, 4, 8, 16, 32), no further than asked for."""
        found = {2: self.relu(self.bn1(self.conv1(image)))}
        x = self.maxpool(found[2])
        for k in range(4):
            if 4 * 2**k > deepest:
                break
            x = found[4 * 2**k] = getattr(self, f"layer{k + 1}")(x)
        return found

    def feature_map(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        """The last layer's features, a 32nd of the image's size."""
        return self.maps(image)[32]

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Their mean."""
        return self.feature_map(image).mean((2, 3))


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut."""

    def __init__(self, before: int, inner: int, stride: int) -> None:
        super().__init__()
        self.channels = inner
        self.conv1 = nn.Conv2d(before, inner, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(inner, inner, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.downsample = _shortcut(before, inner, stride)

    def forward(self, x: Tensor) -> Tensor:
        """The same number of channels or twice as many."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3, 1 × 1 convolutions, four times as wide at the end, beside a shortcut."""

    def __init__(self, before: int, inner: int, stride: int) -> None:
        super().__init__()
        self.channels = 4 * inner
        self.conv1 = nn.Conv2d(before, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, self.channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(before, self.channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Four times `inner` channels."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(before: int, after: int, stride: int) -> nn.Module | None:
    if before == after and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalize(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """RGB in [0, 1] as torchvision's weights expect it."""
    mean, std = (torch.tensor(x).to(image).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    return (image - mean) / std
