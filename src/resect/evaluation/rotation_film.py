"""How a density over rotations takes shape while a network learns: a GIF."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from resect.artifact import write_atomic
from resect.data.rotation_set import RotationSet
from resect.evaluation.rotation_pictures import beside, moving, sheet
from resect.priors.rotations.prior import RotationPrior

_LEVEL = 3  # 7.5° cells: a look costs a second at most


class RotationFilm:
    """Gathers pictures; give it to a `fit` as `peek`, then write it.

    Args:
        data: images with true rotations.
        rows: which of them are shown; the first of each category, at most four, when not given.
        height: of each picture in pixels.
    """

    def __init__(self, data: RotationSet, rows: Sequence[int] | None = None, height: int = 150) -> None:
        first = [data.categories.index(name) for name in data.known[:4]]
        self.data, self.rows, self.height = data, tuple(first if rows is None else rows), height
        self.frames: list[Image.Image] = []

    def __call__(self, step: int, prior: RotationPrior) -> None:
        """One picture: the images beside their densities now."""
        codes, views = prior.codes([self.data.photo(i) for i in self.rows])
        parts = []
        for i, code, view in zip(self.rows, codes, views, strict=True):
            own = self.data.rotation[i][None] if self.data.equivalents is None else self.data.equivalents(i)
            truths = view.turn @ own.double().cpu()
            density = prior.density_of(code, _LEVEL)
            likely = float(density.log_prob(truths).mean())
            words = f"{self.data.categories[i]}, step {step}: {likely:+.1f} nats over uniform"
            seen = view.picture.permute(1, 2, 0).to(torch.float32)
            parts.append(beside(seen, density, truths, words=words, height=self.height))
        self.frames.append(sheet(parts, columns=2 if len(parts) > 1 else 1, gap=10))

    def write(self, path: Path) -> bool:
        """Writes the GIF; false where nothing was seen, as after training that was done already."""
        if self.frames:
            write_atomic(path, moving(self.frames))
        return bool(self.frames)
