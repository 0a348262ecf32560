"""PoseCNN's network: labels, directions to centres with depths, and rotations of boxes.

Xiang, Schmidt, Narayanan, Fox, "PoseCNN: a convolutional neural network for 6D object pose estimation in cluttered
scenes", RSS 2018, in the size of its DeepRob variant. What differs: no ReLU before the softmax, which cannot say less
than nothing; 1 × 1 convolutions come before the enlargement in place of after it, which is the same for less work.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from resect.errors import ResectError
from resect.nn.backbone.make import make_backbone
from resect.priors.posecnn.settings import PoseCnnSettings

ROI = 7
_FINER = 2  # samples along a side of each of the 7 × 7 parts of a box


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
        known = self.backbone.map_channels
        _shorten(self.backbone.body, s.strides[-1])
        if not set(s.strides) <= set(known):
            raise ResectError("PoseCnnSettings.strides", f"some of {sorted(known)}", str(s.strides))
        channels = [known[stride] for stride in s.strides]
        self.labels = _Branch(channels, s.label_width, classes + 1, s.mixed)
        self.centres = _Branch(channels, s.centre_width, 3 * classes, s.mixed)
        alike = s.roi_width == 0
        if alike and len(set(channels)) > 1:
            raise ResectError("PoseCnnSettings.roi_width", "above 0, as the maps differ in channels", "0")
        self.roi = nn.ModuleList(nn.Identity() if alike else nn.Conv2d(c, s.roi_width, 1) for c in channels)
        width = (channels[0] if alike else s.roi_width) * ROI * ROI
        layers = (nn.Linear(width, s.hidden), nn.ReLU(), nn.Linear(s.hidden, s.hidden), nn.ReLU())
        self.rotation = nn.Sequential(*layers, nn.Linear(s.hidden, 4 * classes))

    def train(self, mode: bool = True) -> "PoseCnnNetwork":
        """Norms of a pretrained backbone stay: they may be folded into its weights, and batches are small."""
        super().train(mode)
        for module in self.backbone.modules():
            if self.settings.pretrained and isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def maps(self, picture: Float[Tensor, "b 3 y x"]) -> list[Float[Tensor, "b c i j"]]:
        """The backbone's maps at the settings' strides."""
        found = self.backbone.maps(picture) if self.settings.whitened else self.backbone.body.maps(picture)  # type: ignore[operator]
        return [found[stride] for stride in self.settings.strides]

    def dense(
        self, maps: list[Float[Tensor, "b c i j"]]
    ) -> tuple[Float[Tensor, "b classes h w"], Float[Tensor, "b classes-1 3 h w"]]:
        """Scores of the labels of all cells, background first; direction to the centre (x, y) and depth by class.

        Directions are not normalised; depths count in the mean depth of the training objects.
        """
        s = self.settings
        size = (-(-s.height // s.cell), -(-s.width // s.cell))
        labels, centres = (
            functional.interpolate(branch(maps), size=size, mode="bilinear", align_corners=False)
            for branch in (self.labels, self.centres)
        )
        return labels, centres.unflatten(1, (self.classes, 3))

    def rotations(
        self, maps: list[Float[Tensor, "b c i j"]], boxes: Float[Tensor, "n 4"], image: Int[Tensor, "n"]
    ) -> Float[Tensor, "n classes 4"]:
        """Unit quaternions of each box by class.

        Args:
            maps: of `maps`.
            boxes: left, top, right, bottom, pixels of the picture.
            image: which picture of the batch each box is in.
        """
        s = self.settings
        size = (s.width, s.height)
        cut = torch.stack([cut_boxes(f(m), boxes, image, size) for f, m in zip(self.roi, maps, strict=True)]).sum(0)
        found: Tensor = self.rotation(cut.flatten(1)).unflatten(1, (self.classes, 4))
        return functional.normalize(found, dim=-1)

    def forward(
        self, picture: Float[Tensor, "b 3 y x"], boxes: Float[Tensor, "n 4"], image: Int[Tensor, "n"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Labels, centres and rotations of a batch; see `dense` and `rotations`."""
        maps = self.maps(picture)
        return *self.dense(maps), self.rotations(maps, boxes, image)


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

    def __init__(self, channels: list[int], width: int, out: int, mixed: bool) -> None:
        super().__init__()
        self.embed = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.mix = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()) if mixed else nn.Identity()
        self.out = nn.Conv2d(width, out, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.out.weight, std=0.01)

    def forward(self, maps: list[Tensor]) -> Tensor:
        size = maps[0].shape[-2:]
        seen = [functional.relu(layer(m)) for layer, m in zip(self.embed, maps, strict=True)]
        large = [functional.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in seen[1:]]
        found: Tensor = self.out(self.mix(torch.stack([seen[0], *large]).sum(0)))
        return found


def cut_boxes(
    features: Float[Tensor, "b c i j"], boxes: Float[Tensor, "n 4"], image: Int[Tensor, "n"], size: tuple[int, int]
) -> Float[Tensor, "n c 7 7"]:
    """What lies in boxes, as means over 7 × 7 equal parts of 2 × 2 bilinear samples each.

    Published is the greatest feature of each part, boxes rounded to whole cells; this moves smoothly with the box.

    Args:
        boxes: left, top, right, bottom in pixels of a picture of `size` (width, height).
        image: which picture each is in.
    """
    part = (torch.arange(ROI * _FINER, dtype=boxes.dtype, device=boxes.device) + 0.5) / (ROI * _FINER)
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * part
    y = boxes[:, 1:2] + (boxes[:, 3:] - boxes[:, 1:2]) * part
    n, k = x.shape
    grid = torch.stack([x[:, None].expand(n, k, k) / size[0], y[:, :, None].expand(n, k, k) / size[1]], -1) * 2 - 1
    found = functional.grid_sample(features[image], grid, padding_mode="border", align_corners=False)
    return functional.avg_pool2d(found, _FINER)


def make_network(settings: PoseCnnSettings, classes: int, seed: int) -> PoseCnnNetwork:
    """A network with the weights of a seed, and a pretrained backbone where the settings name one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PoseCnnNetwork(settings, classes)
