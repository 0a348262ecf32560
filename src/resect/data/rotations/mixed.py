"""Two sets as one, such as photos and rendered crops."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.types import Photo


def mixed(first: RotationSet, second: RotationSet, times: float = 1.0, seed: int = 0) -> RotationSet:
    """All of the first set, then `times` as many of the second, drawn with replacement.

    Translations and equivalents are kept where both sets have them.
    """
    if not len(first) or not len(second):
        fix = "Check that both are there."
        raise ResectError("mixed", "two sets with images", f"{len(first)} and {len(second)}", fix)
    drawn = np.random.default_rng(seed).integers(len(second), size=round(times * len(first)))
    more, n = second.subset(drawn.tolist()), len(first)

    def load(i: int) -> Photo:
        return first.load(i) if i < n else more.load(i - n)

    def equivalents(i: int) -> Float[Tensor, "s 3 3"]:
        chosen, row = (first, i) if i < n else (more, i - n)
        assert chosen.equivalents is not None
        return chosen.equivalents(row)

    known = first.equivalents is not None and more.equivalents is not None
    moved = None
    if first.translation is not None and more.translation is not None:
        moved = torch.cat([first.translation, more.translation.to(first.translation)])
    return RotationSet(
        f"{first.format} + {second.format}",
        first.names + more.names,
        first.categories + more.categories,
        torch.cat([first.rotation, more.rotation.to(first.rotation)]),
        load,
        equivalents=equivalents if known else None,
        translation=moved,
        notes=first.notes + second.notes,
    )
