"""Training loops of PoseNet and of a pose auto-encoder as published, to be compared with.

Shavit and Keller, "Camera pose auto-encoders for improving pose regression", ECCV 2022, written anew from the published
description, with nothing made faster. Every epoch reads every photo from its file again: shorter side to 256 by
bilinear resizing, a random crop of 224 (the middle one without augmentation), colour jitter of (0.5, 0.5, 0.5, 0.2) in
random order, ImageNet normalisation; `DataLoader` shuffles and reads with workers. PoseNet trains the whole backbone by
Adam (1e-3, ε 1e-10, weight decay 1e-4 coupled) on the learnable pose loss, 32 photos a step. The auto-encoder's loop
looks at every photo with the teacher in every epoch, and encodes the pose that the teacher regressed; the heads that it
is judged by run without gradients, so that the two squared differences of latents alone teach it.

What differs: MobileNetV2 is resect's module with torchvision's names, as torchvision is not needed otherwise; it is
called as the original calls its own, in the default memory layout, and has the same layers.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from PIL import Image, ImageEnhance
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from resect.nn.backbone.mobilenet import MobileNetV2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH, WORKERS, SIDE, SHORTER = 32, 4, 224, 256
JITTER, HUE, OCTAVES = 0.5, 0.2, 6

Item = tuple[Tensor, Tensor]


class Photos(Dataset[Item]):
    """Photos with poses (position, quaternion wxyz), read when asked for.

    Args:
        paths: of the photos.
        poses: (n, 7).
        augment: whether crops and colours are random.
    """

    def __init__(self, paths: Sequence[Path], poses: Tensor, augment: bool) -> None:
        self.paths, self.poses, self.augment = paths, poses, augment

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Item:
        image = Image.open(self.paths[index]).convert("RGB")
        scale = SHORTER / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
        free = image.width - SIDE, image.height - SIDE
        left, top = (random.randint(0, f) if self.augment else round(f / 2) for f in free)
        image = image.crop((left, top, left + SIDE, top + SIDE))
        image = jittered(image) if self.augment else image
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(SIDE, SIDE, 3)
        values = pixels.permute(2, 0, 1).float() / 255
        return (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None], self.poses[index]


def jittered(image: Image.Image) -> Image.Image:
    """Brightness, contrast, saturation and hue in random order, as torchvision's ColorJitter does for PIL images."""
    steps = [0, 1, 2, 3]
    random.shuffle(steps)
    for step in steps:
        if step < 3:
            kind = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[step]
            image = kind(image).enhance(random.uniform(1 - JITTER, 1 + JITTER))
        else:
            hue, saturation, value = image.convert("HSV").split()
            turn = round(random.uniform(-HUE, HUE) * 255)
            hue = hue.point([(k + turn) % 256 for k in range(256)])
            image = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    return image


class PoseNet(nn.Module):
    """MobileNetV2, mean of its features, two layers of 256, position and quaternion."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = MobileNetV2()
        self.x_latent, self.q_latent = nn.Linear(1280, 256), nn.Linear(1280, 256)
        self.x_reg, self.q_reg, self.dropout = nn.Linear(256, 3), nn.Linear(256, 4), nn.Dropout(0.1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents of position and rotation, position, quaternion."""
        seen = self.dropout(functional.adaptive_avg_pool2d(self.backbone.maps(image)[32], 1).flatten(1))
        x, q = self.x_latent(seen).relu(), self.q_latent(seen).relu()
        return x, q, self.x_reg(self.dropout(x)), self.q_reg(self.dropout(q))


class Loss(nn.Module):
    """L_x e^(−s_x) + s_x + L_q e^(−s_q) + s_q; q and −q are not one rotation to it."""

    def __init__(self) -> None:
        super().__init__()
        self.s_x, self.s_q = nn.Parameter(torch.tensor([0.0])), nn.Parameter(torch.tensor([-3.0]))

    def forward(self, x: Tensor, q: Tensor, truth: Tensor) -> Tensor:
        """Of a batch."""
        x_loss = (truth[:, :3] - x).norm(dim=1).mean()
        unit, true_unit = (v / v.norm(dim=1, keepdim=True) for v in (q, truth[:, 3:]))
        q_loss = (true_unit - unit).norm(dim=1).mean()
        loss: Tensor = x_loss * (-self.s_x).exp() + self.s_x + q_loss * (-self.s_q).exp() + self.s_q
        return loss.sum()


class PoseEncoder(nn.Module):
    """Position and quaternion, each by its octaves and four layers, to the two latents."""

    def __init__(self) -> None:
        super().__init__()
        self.x_encoder, self.q_encoder = (self._layers(n * (1 + 2 * OCTAVES)) for n in (3, 4))

    @staticmethod
    def _layers(inputs: int) -> nn.Sequential:
        widths = (inputs, 64, 128, 256, 256)
        parts = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(*parts[:-1])

    def forward(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of position and of rotation."""
        return self.x_encoder(self._encode(pose[:, :3])), self.q_encoder(self._encode(pose[:, 3:]))

    @staticmethod
    def _encode(values: Tensor) -> Tensor:
        parts = [values]
        for k in range(OCTAVES):
            parts += [torch.sin(2.0**k * values), torch.cos(2.0**k * values)]
        return torch.cat(parts, dim=-1)


def train_posenet(photos: Photos, workers: int = WORKERS, batch: int = BATCH) -> Iterator[float]:
    """The loss after each step, epoch after epoch."""
    model, loss = PoseNet().train(), Loss()
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()], 1e-3, eps=1e-10, weight_decay=1e-4)
    loader = DataLoader(photos, batch, shuffle=True, num_workers=workers)
    while True:
        for image, pose in loader:
            optimizer.zero_grad()
            _, _, x, q = model(image)
            found = loss(x, q, pose)
            found.backward()
            optimizer.step()
            yield found.item()


def train_encoder(photos: Photos, teacher: PoseNet, workers: int = WORKERS, batch: int = BATCH) -> Iterator[float]:
    """The loss after each step of the auto-encoder."""
    teacher, model, loss = teacher.eval(), PoseEncoder().train(), Loss()
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()], 1e-3, eps=1e-10, weight_decay=1e-4)
    loader = DataLoader(photos, batch, shuffle=True, num_workers=workers)
    while True:
        for image, pose in loader:
            optimizer.zero_grad()
            with torch.no_grad():
                x_latent, q_latent, x, q = teacher(image)
            x_made, q_made = model(torch.cat([x, q], dim=1))
            with torch.no_grad():
                x_read, q_read = teacher.x_reg(x_made), teacher.q_reg(q_made)
            found = functional.mse_loss(x_made, x_latent) + functional.mse_loss(q_made, q_latent)
            found = found + loss(x_read, q_read, pose)
            found.backward()
            optimizer.step()
            yield found.item()
