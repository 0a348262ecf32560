"""Images of objects with a rotation each: what a distribution over SO(3) is learned from and judged by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.types import Photo

_MOST_TWIST = 1e-3


@dataclass(frozen=True, eq=False)
class RotationSet:
    """N images, read or rendered when asked for.

    Attributes:
        format: name of the format that was read, or of the generator.
        names: of the images.
        categories: of each image.
        rotation: N rotations `cam_from_world`, the world being the object's frame.
        load: image number i, asked for its object: `Photo.target` names the category and the visible box.
        equivalents: all rotations at which image number i would look the same, its own among them; `None` where that is
            not known.
        render: several images at once, (b, s, s, 3) in [0, 1], for sets that are made faster so; on any device.
        pick: one equivalent of each of several images, by a number in [0, 1) each, (b, 3, 3); for sets where that is
            faster than to list all, and can be done on a device.
        translation: N translations in the camera's frame, where the data has them.
        ideal: the greatest log-likelihood (π² measure) possible for image number i at a level of the grid, where the
            equivalents only stand for a continuum.
        notes: what the reader wants to be known.
    """

    format: str
    names: tuple[str, ...]
    categories: tuple[str, ...]
    rotation: Float[Tensor, "n 3 3"]
    load: Callable[[int], Photo]
    equivalents: Callable[[int], Float[Tensor, "s 3 3"]] | None = None
    render: Callable[[Sequence[int]], Float[Tensor, "b s s 3"]] | None = None
    pick: Callable[[Sequence[int], Sequence[float]], Float[Tensor, "b 3 3"]] | None = None
    translation: Float[Tensor, "n 3"] | None = None
    ideal: Callable[[int, int], float] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.categories) == len(self.rotation):
            got = f"{len(self.names)}, {len(self.categories)}, {len(self.rotation)}"
            fix = "Give one of each for every image."
            raise ResectError(f"{self.format}: images", "as many names, categories and rotations", got, fix)
        eye = torch.eye(3, dtype=self.rotation.dtype, device=self.rotation.device)
        twist = (self.rotation @ self.rotation.mT - eye).abs().amax((1, 2))
        bad = ~((twist < _MOST_TWIST) & (torch.linalg.det(self.rotation) > 0))
        if bool(bad.any()):
            i = int(bad.int().argmax())
            got = f"{int(bad.sum())} others, the first of '{self.names[i]}'"
            raise ResectError(f"{self.format}: rotations", "rotation matrices", got, "Check the labels.")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def known(self) -> tuple[str, ...]:
        """The categories that occur, sorted."""
        return tuple(sorted(set(self.categories)))

    def photo(self, index: int) -> Photo:
        """Image number i."""
        return self.load(index)

    def spread(self, most: int) -> list[int]:
        """Numbers of at most so many images, evenly over the set."""
        return torch.linspace(0, len(self) - 1, min(most, len(self))).long().unique().tolist()

    def subset(self, indices: Sequence[int]) -> "RotationSet":
        """Only these images, in this order."""
        order = tuple(indices)
        load, equivalents, render, ideal, pick = self.load, self.equivalents, self.render, self.ideal, self.pick
        return replace(
            self,
            names=tuple(self.names[i] for i in order),
            categories=tuple(self.categories[i] for i in order),
            rotation=self.rotation[list(order)],
            load=lambda i: load(order[i]),
            equivalents=None if equivalents is None else lambda i: equivalents(order[i]),
            render=None if render is None else lambda rows: render([order[i] for i in rows]),
            pick=None if pick is None else lambda rows, at: pick([order[i] for i in rows], at),
            translation=None if self.translation is None else self.translation[list(order)],
            ideal=None if ideal is None else lambda i, level: ideal(order[i], level),
        )
