"""Sets of drawn shapes, rendered as they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.synthesis.symsol.equivalents import equivalents, haar, ideal, pick
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
            fix = "Write solids:cube,cyl."
            raise ResectError("solids: shapes", "names of shapes, each once", str(self.shapes), fix)


def make_solids(settings: SolidSettings, device: torch.device | str = "cpu") -> RotationSet:
    """A set whose images are drawn on the device when they are asked for; nothing is written."""
    kinds = len(settings.shapes)
    count = settings.images * kinds
    rotation = haar(count, settings.seed)
    categories = tuple(settings.shapes[i % kinds] for i in range(count))
    on_device = rotation.to(device)

    def by_shape(rows: Sequence[int]) -> list[tuple[str, list[int], Float[Tensor, "k 3 3"]]]:
        """The shapes that occur: where in `rows`, and at which rotations."""
        places = [[n for n, row in enumerate(rows) if row % kinds == k] for k in range(kinds)]
        return [
            (name, mine, on_device[torch.tensor([rows[n] for n in mine]).to(on_device.device, non_blocking=True)])
            for name, mine in zip(settings.shapes, places, strict=True)
            if mine
        ]

    def in_order(parts: Sequence[Tensor], places: Sequence[Sequence[int]]) -> Tensor:
        back = torch.tensor([n for mine in places for n in mine]).argsort()
        return torch.cat(list(parts))[back.to(on_device.device, non_blocking=True)]

    def draw(rows: Sequence[int]) -> Float[Tensor, "b s s 3"]:
        groups = by_shape(rows)
        return in_order([render(shape(n), r.float(), settings.side) for n, _, r in groups], [m for _, m, _ in groups])

    def choose(rows: Sequence[int], at: Sequence[float]) -> Float[Tensor, "b 3 3"]:
        groups, numbers = by_shape(rows), torch.tensor(at, dtype=torch.float64).to(device, non_blocking=True)
        return in_order([pick(n, r, numbers[m]) for n, m, r in groups], [m for _, m, _ in groups])

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
        pick=choose,
        ideal=lambda i, level: ideal(categories[i], rotation[i], level),
    )
