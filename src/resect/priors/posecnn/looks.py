"""Batches for a backbone that is held: what it makes of a changed photo stays true, so it looks a few times only."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from resect.errors import ResectError
from resect.priors.posecnn.batches import Batch, Batches
from resect.priors.posecnn.network import PoseCnnNetwork
from resect.training.loop import Turn


class Looks:
    """Draws batches of features: each photo is changed in `looks` ways, and the backbone's maps of each are kept.

    In half precision, in the memory of the CPU, up to the settings' bound; beyond it they are made again at each use.

    Args:
        batches: of pictures.
        network: whose backbone learns nothing.

    Raises:
        ResectError: the backbone learns.
    """

    def __init__(self, batches: Batches, network: PoseCnnNetwork) -> None:
        if any(p.requires_grad for p in network.backbone.parameters()):
            fix = "Hold it: --posecnn.held backbone."
            raise ResectError(
                "PoseCnnSettings.looks", "0, or a backbone that is held", str(batches.settings.looks), fix
            )
        self.batches, self.network = batches, network
        self._kept: dict[int, Batch] = {}
        s = batches.settings
        photos = 4 * s.width * s.height * len(batches.frames)  # bytes that they may take themselves
        self._left = s.memory_gb * 2**30 - photos

    def batch(self, turn: Turn) -> Batch:
        """As of `Batches`."""
        s = self.batches.settings
        random = np.random.default_rng([turn.seed, 11, turn.step])
        which = random.integers(len(self.batches.frames) * s.looks, size=s.batch).tolist()
        return _joined([self._one(turn.seed, k) for k in turn.mine(which)], s.device)

    def _one(self, seed: int, which: int) -> Batch:
        """A photo in one of its ways."""
        if which in self._kept:
            return self._kept[which]
        generator = torch.Generator().manual_seed(seed * 1_000_000_007 + which)
        made = self.batches.of([which // self.batches.settings.looks], generator)
        self.network.backbone.eval()
        with torch.no_grad():
            rest = {name: x.cpu() for name, x in vars(made).items() if name not in ("picture", "cut")}
            seen = Batch(picture=self._maps(made.picture), cut=self._maps(made.cut), **rest)
        self._left -= sum(x.nbytes for x in _tensors(seen))
        if self._left > 0:
            self._kept[which] = seen
        return seen

    def _maps(self, pictures: Tensor | list[Tensor]) -> list[Tensor]:
        return [x.half().cpu() for x in self.network.seen(pictures)]


def _tensors(batch: Batch) -> list[Tensor]:
    return [x for value in vars(batch).values() for x in (value if isinstance(value, list) else [value])]


def _joined(parts: Sequence[Batch], device: str) -> Batch:
    """One batch, on a device, in single precision."""
    whole: dict[str, Any] = {}
    for name, first in vars(parts[0]).items():
        of_each = [getattr(p, name) for p in parts]
        if isinstance(first, list):
            whole[name] = [torch.cat(x).to(device).float() for x in zip(*of_each, strict=True)]
        else:
            whole[name] = torch.cat(of_each).to(device)
    return Batch(**whole)
