"""A backbone by name, with weights from a file, from an address with a checksum, or from torchvision's publisher."""

import os
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from resect.data.fetch import checksum, fetch
from resect.errors import ResectError, unknown_name
from resect.nn.backbone.efficientnet import EfficientNetB0
from resect.nn.backbone.mobilenet import MobileNetV2
from resect.nn.backbone.quantized import read_quantized
from resect.nn.backbone.resnet import IMAGENET_MEAN, IMAGENET_STD, ResNet
from resect.nn.backbone.vgg import VGG16
from resect.nn.backbone.weights import load_weights, read_checkpoint

BackboneName = Literal[
    "mobilenet_v2", "tf_mobilenet_v2", "efficientnet_b0", "resnet18", "resnet34", "resnet50", "resnet101", "vgg16"
]
_BODIES = {
    "mobilenet_v2": MobileNetV2,
    "tf_mobilenet_v2": lambda: MobileNetV2(same_padding=True),
    "efficientnet_b0": EfficientNetB0,
    "resnet18": lambda: ResNet("resnet18"),
    "resnet34": lambda: ResNet("resnet34"),
    "resnet50": lambda: ResNet("resnet50"),
    "resnet101": lambda: ResNet("resnet101"),
    "vgg16": VGG16,
}
_PUBLISHED = {
    "mobilenet_v2": "mobilenet_v2-b0353104.pth",
    "efficientnet_b0": "efficientnet_b0_rwightman-7f5810bc.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "vgg16": "vgg16-397923af.pth",
}
"""torchvision's ImageNet weights; each name ends in the first eight digits of the file's SHA-256."""
_PUBLISHER = "https://download.pytorch.org/models/"
_MOST_BYTES = 1 << 30
_CLASSIFIERS = ("fc.", "classifier.")


class Backbone(nn.Module):
    """Images in [0, 1] to feature maps: the network `body`, which has torchvision's parameter names, and its colours.

    Args:
        name: which network; "tf_mobilenet_v2" pads and scales colours as TensorFlow's weights expect it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: BackboneName) -> None:
        super().__init__()
        if name not in _BODIES:
            raise unknown_name("backbone", name, _BODIES)
        self.body: nn.Module = _BODIES[name]()
        self.map_channels: dict[int, int] = dict(self.body.map_channels)  # type: ignore[arg-type]
        halves = ((0.5,) * 3, (0.5,) * 3)
        mean, std = halves if name.startswith("tf_") else (IMAGENET_MEAN, IMAGENET_STD)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def maps(self, image: Float[Tensor, "b 3 h w"], deepest: int = 32) -> dict[int, Float[Tensor, "b c i j"]]:
        """The last features at each stride (2, 4, 8, 16, 32), no further than asked for."""
        found: dict[int, Tensor] = self.body.maps((image - self.mean) / self.std, deepest)  # type: ignore[operator]
        return found

    def wide_maps(
        self, image: Float[Tensor, "b 3 h w"], deepest: int = 32, *, whitened: bool = True
    ) -> dict[int, Float[Tensor, "b c i j"]]:
        """The same where the network is widest at a stride, if it is elsewhere."""
        look: Any = getattr(self.body, "wide_maps", self.body.maps)
        found: dict[int, Tensor] = look((image - self.mean) / self.std if whitened else image, deepest)
        return found

    def wide_channels(self, deepest: int = 32) -> dict[int, int]:
        """Channels of `wide_maps`, by stride."""
        asked: Any = getattr(self.body, "wide_channels", None)
        return self.map_channels if asked is None else asked(deepest)


def make_backbone(name: BackboneName, pretrained: str = "") -> Backbone:
    """A backbone with random or pretrained weights.

    Args:
        name: which network.
        pretrained: empty for random ones; "imagenet" for torchvision's, fetched once into the cache; a file (.pth,
            .pt, .safetensors with torchvision's names, or .npz of int8 convolutions); an address with its checksum,
            `https://…#sha256=…`.
    """
    made = Backbone(name)
    if not pretrained:
        return made
    path = find_weights(name, pretrained)
    found: Any = read_quantized(path, made.body) if path.suffix == ".npz" else read_checkpoint(path)
    found = found.get("state_dict", found) if isinstance(found, dict) else {}
    load_weights(made.body, found, path, ignore=_CLASSIFIERS)
    return made


def find_weights(name: str, pretrained: str) -> Path:
    """The file of weights that `pretrained` means, fetched where it has to be."""
    address, _, digest = pretrained.partition("#sha256=")
    if pretrained == "imagenet":
        if name not in _PUBLISHED:
            raise ResectError(f"pretrained weights of {name}", "a file", "'imagenet'", "torchvision has none of it.")
        address, digest = _PUBLISHER + _PUBLISHED[name], _PUBLISHED[name].rpartition("-")[2].removesuffix(".pth")
    elif not address.startswith(("https://", "http://", "file://")):
        return Path(pretrained)
    elif len(digest) != 64:
        raise ResectError(pretrained, "an address with #sha256= and 64 digits", f"{len(digest)} digits")
    path = _cache() / address.rpartition("/")[2]
    if not path.is_file():
        try:
            fetch(address, path, most_bytes=_MOST_BYTES, sha256=digest if len(digest) == 64 else "")
        except ResectError as error:
            fix = f"{error.fix} Without a network, give the file itself as 'pretrained'."
            raise ResectError(error.where, error.expected, error.got, fix) from None
    if not checksum(path).startswith(digest.lower()):
        path.unlink()
        raise ResectError(path, f"SHA-256 {digest} …", "another file", "It was removed; try again.")
    return path


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "resect" / "weights"
