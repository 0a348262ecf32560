"""Sets of drawn shapes, rendered as they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.synthesis.symsol.equivalents import equivalents, haar, ideal
from resect.synthesis.symsol.render import camera, render
from resect.synthesis.symsol.shapes import PLAIN, shape
from resect.types import Photo, Target

SEEDS = {"train": 0, "test": 1, "val": 2}
SIZES = {"full": (45_000, 5_000), "small": (10_000, 1_000), "smoke": (512, 64)}
"""Training and test images a shape."""


@dataclass(frozen=True)
class SolidSettings:
    """Which solids, how many, and how large."""

    shapes: tuple[str, ...] = PLAIN
    """Names: tet, cube, ico, cone, cyl (set I), tetX, cylO, sphereX (set II)."""
    images: int = 1000
    """Images of each shape."""
    side: int = 224
    """Pixels of an image's side."""
    seed: int = 0
    """Of the rotations; training sets have 0, test sets 1."""

    def __post_init__(self) -> None:
        for name in self.shapes:
            shape(name)
        limits = {"images": (1, 10_000_000), "side": (8, 1024)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ResectError(f"solids: {name}", f"{low} to {high}", str(getattr(self, name)))
        if not self.shapes or len(set(self.shapes)) < len(self.shapes):
            raise ResectError("solids: shapes", "names of shapes, each once", str(self.shapes))


def make_solids(settings: SolidSettings, device: torch.device | str = "cpu") -> RotationSet:
    """A set whose images are drawn on the device when they are asked for; nothing is written."""
    kinds = len(settings.shapes)
    count = settings.images * kinds
    rotation = haar(count, settings.seed)
    categories = tuple(settings.shapes[i % kinds] for i in range(count))
    on_device = rotation.to(device, torch.float32)

    def draw(rows: Sequence[int]) -> Float[Tensor, "b s s 3"]:
        index = torch.as_tensor(rows, device=on_device.device)
        images = on_device.new_empty(len(index), settings.side, settings.side, 3)
        for k in range(kinds):
            mine = (index % kinds == k).nonzero()[:, 0]
            if len(mine):
                images[mine] = render(shape(settings.shapes[k]), on_device[index[mine]], settings.side)
        return images

    def load(i: int) -> Photo:
        whole = (0.0, 0.0, float(settings.side), float(settings.side))
        target = Target(categories[i], category=categories[i], box=whole)
        return Photo(names[i], draw([i])[0].cpu(), camera(settings.side), "solids", target)

    names = tuple(f"{category}/{i:07d}" for i, category in enumerate(categories))
    return RotationSet(
        "symmetric solids",
        names,
        categories,
        rotation,
        load,
        equivalents=lambda i: equivalents(categories[i], rotation[i]),
        render=draw,
        ideal=lambda i, level: ideal(categories[i], rotation[i], level),
    )
