"""PoseCNN's network: labels, directions to centres with depths, and surfaces of cuts.

Xiang, Schmidt, Narayanan, Fox, "PoseCNN: a convolutional neural network for 6D object pose estimation in cluttered
scenes", RSS 2018, in the size of its DeepRob variant. What differs: no ReLU before the softmax, which cannot say less
than nothing; 1 × 1 convolutions come before the enlargement in place of after it, which is the same for less work;
rotations come from surfaces (`surface`), not from two wide layers that give quaternions, which learn nothing in the
time in which surfaces are learned (docs/decisions/posecnn.md).
"""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from resect.errors import ResectError
from resect.nn.backbone.make import make_backbone
from resect.priors.posecnn.settings import PoseCnnSettings
from resect.priors.posecnn.surface import Surface

_GROUPS = 8
_DILATIONS = (1, 2)

Pictures = Float[Tensor, "b 3 y x"] | list[Tensor]
"""Pictures in [0, 1], or what a backbone makes of them (`PoseCnnNetwork.maps`)."""


class PoseCnnNetwork(nn.Module):
    """The network.

    Args:
        settings: how it is built.
        classes: how many objects it knows, without the background.
    """

    def __init__(self, settings: PoseCnnSettings, classes: int) -> None:
        super().__init__()
        s, self.settings, self.classes = settings, settings, classes
        self.backbone = make_backbone(s.backbone, s.pretrained)  # type: ignore[arg-type]
        known = self.backbone.wide_channels(s.strides[-1])
        _shorten(self.backbone.body, s.strides[-1])
        if not set(s.strides) <= set(known):
            raise ResectError("PoseCnnSettings.strides", f"some of {sorted(known)}", str(s.strides))
        channels = {stride: known[stride] for stride in s.strides}
        branch = _MixedBranch if s.mixed else _Branch
        self.labels = branch(channels, s.label_width, classes + 1)
        self.centres = branch(channels, s.centre_width, 3 * classes)
        self.surfaces = _SurfaceBranch(channels, s.surface_width, 1 + s.patches, classes)

    def train(self, mode: bool = True) -> "PoseCnnNetwork":
        """Norms of a pretrained backbone stay: they may be folded into its weights, and batches are small."""
        super().train(mode)
        for module in self.backbone.modules():
            if self.settings.pretrained and isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def maps(self, picture: Float[Tensor, "b 3 y x"]) -> list[Float[Tensor, "b c i j"]]:
        """The backbone's maps at the settings' strides."""
        found = self.backbone.wide_maps(picture, self.settings.strides[-1], whitened=self.settings.whitened)
        return [found[stride] for stride in self.settings.strides]

    def dense(
        self, maps: list[Float[Tensor, "b c i j"]], size: tuple[int, int] | None = None
    ) -> tuple[Float[Tensor, "b classes h w"], Float[Tensor, "b classes-1 3 h w"]]:
        """Scores of the labels of all cells, background first; direction to the centre (x, y) and depth by class.

        Directions are not normalised; depths count in the mean depth of the training objects.

        Args:
            maps: of pictures.
            size: of the pictures, (height, width), where it is not that of the settings.
        """
        s = self.settings
        height, width = size or (s.height, s.width)
        cells = (-(-height // s.cell), -(-width // s.cell))
        times = s.strides[0] / s.cell
        labels, centres = (_enlarged(branch(maps), times, cells) for branch in (self.labels, self.centres))
        return labels, centres.unflatten(1, (self.classes, 3))

    def surface(self, cuts: Pictures, kind: Int[Tensor, "n"]) -> Surface:
        """What the cuts of objects of these classes show, in parts of the first stride.

        Args:
            cuts: pictures of them (`cuts.pictures_of`).
            kind: class of each, from 0.
        """
        found = self.surfaces(self.seen(cuts), kind)
        return Surface(found[:, 0], found[:, 1:])

    def forward(self, picture: Pictures, cuts: Pictures, kind: Int[Tensor, "n"]) -> tuple[Tensor, Tensor, Surface]:
        """Labels, centres and surfaces of a batch; see `dense` and `surface`."""
        return *self.dense(self.seen(picture)), self.surface(cuts, kind)

    def seen(self, pictures: Pictures) -> list[Float[Tensor, "b c i j"]]:
        """The backbone's maps of pictures, unless that is what they are."""
        return pictures if isinstance(pictures, list) else self.maps(pictures)


def _shorten(body: nn.Module, stride: int) -> None:
    """Leaves out the blocks of a row of them that come after the last map that is looked at."""
    blocks = getattr(body, "features", None)
    if not isinstance(blocks, nn.Sequential):
        return
    side, kept, x = 4 * stride, 0, torch.zeros(1, 3, 4 * stride, 4 * stride)
    was = blocks.training
    blocks.eval()
    with torch.no_grad():
        for i, block in enumerate(blocks):
            x = block(x)
            if x.shape[-1] * stride < side:
                break
            kept = i + 1
    blocks.train(was)
    body.features = blocks[:kept]


class _Branch(nn.Module):
    """Each map through a 1 × 1 convolution, enlarged to the first one's size and summed, then to the output."""

    def __init__(self, channels: Mapping[int, int], width: int, out: int) -> None:
        super().__init__()
        self.embed = _Embedded(channels, width)
        self.out = nn.Conv2d(width, out, 1)
        _begin(self, self.out)

    def forward(self, maps: list[Tensor]) -> Tensor:
        found: Tensor = self.out(self.embed(maps))
        return found


class _MixedBranch(nn.Module):
    """All maps but the first are summed at the second one's size and mixed by layers that look ever farther; the sum is
    halved in width, enlarged, joined by the first map and goes to the output.
    """

    def __init__(self, channels: Mapping[int, int], width: int, out: int) -> None:
        super().__init__()
        (first, own), (second, _), *_ = channels.items()
        self.times = second / first
        self.embed = _Embedded({k: v for k, v in channels.items() if k != first}, width, relu=False)
        self.norm = _norm(width)
        self.mix = nn.ModuleList(nn.Sequential(*_normed(width, dilation)) for dilation in _DILATIONS)
        self.narrow, self.fine = nn.Conv2d(width, width // 2, 1), nn.Conv2d(own, width // 2, 1)
        self.out = nn.Conv2d(width // 2, out, 1)
        _begin(self, self.out)

    def forward(self, maps: list[Tensor]) -> Tensor:
        first, *rest = maps
        x = functional.relu(self.norm(self.embed(rest)))
        for layer in self.mix:
            x = x + layer(x)
        x = _enlarged(self.narrow(x), self.times, first.shape[-2:])
        found: Tensor = self.out(functional.relu(x + self.fine(first)))
        return found


class _SurfaceBranch(nn.Module):
    """The maps summed in the same way and mixed; then of each cut the output of its own class."""

    def __init__(self, channels: Mapping[int, int], width: int, out: int, classes: int) -> None:
        super().__init__()
        self.embed = _Embedded(channels, width)
        self.mix = nn.Sequential(*(part for _ in range(2) for part in _normed(width)))
        self.weight = nn.Parameter(0.01 * torch.randn(classes, out, width))
        self.bias = nn.Parameter(torch.zeros(classes, out))

    def forward(self, maps: list[Tensor], kind: Int[Tensor, "n"]) -> Float[Tensor, "n out i j"]:
        found = self.embed(maps)
        found = found + self.mix(found)
        return torch.einsum("now,nwij->noij", self.weight[kind], found) + self.bias[kind, :, None, None]


class _Embedded(nn.Module):
    """Maps of one picture (stride → channels) through a 1 × 1 convolution each, summed at the first one's size."""

    def __init__(self, channels: Mapping[int, int], width: int, *, relu: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels.values())
        self.times = [stride / next(iter(channels)) for stride in channels]
        self.relu = relu

    def forward(self, maps: list[Tensor]) -> Tensor:
        size = maps[0].shape[-2:]
        each = [layer(m) for layer, m in zip(self.layers, maps, strict=True)]
        each = [functional.relu(x) for x in each] if self.relu else each
        return torch.stack([_enlarged(x, t, size) for x, t in zip(each, self.times, strict=True)]).sum(0)


def _norm(width: int) -> nn.GroupNorm:
    """Does not ask how many pictures there are."""
    return nn.GroupNorm(math.gcd(_GROUPS, width), width)


def _normed(width: int, dilation: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False), _norm(width), nn.ReLU()


def _begin(branch: nn.Module, out: nn.Conv2d) -> None:
    """First weights: no answer is likely."""
    for module in branch.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(out.weight, std=0.01)


def _enlarged(x: Tensor, times: float, size: Sequence[int]) -> Tensor:
    """A map of a picture so many times larger. Its last row may reach beyond the picture, which `size` ends: it is as
    large in a picture of any size.
    """
    if times != 1:
        x = functional.interpolate(x, scale_factor=times, mode="bilinear", align_corners=False)
    return x[..., : size[0], : size[1]]


def make_network(settings: PoseCnnSettings, classes: int, seed: int) -> PoseCnnNetwork:
    """A network with the weights of a seed, and a pretrained backbone where the settings name one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PoseCnnNetwork(settings, classes)
