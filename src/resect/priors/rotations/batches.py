"""Batches of pictures with rotations; every batch is fixed by the seed and the step."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.data.image import resize_area
from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.geometry import so3
from resect.priors.rotations.position import told
from resect.priors.rotations.settings import RotationSettings
from resect.priors.rotations.view import View, look, rolled
from resect.training.loop import Turn


@dataclass(frozen=True, eq=False)
class Batch:
    """B samples.

    Attributes:
        picture: RGB in [0, 1].
        rotation: picture's camera from object, float64.
        label: number of the category.
        position: where the objects stand, as `rotations/position` tells it; `None` where the data does not say so, or
            where pictures come from no known camera.
    """

    picture: Float[Tensor, "b 3 s s"]
    rotation: Float[Tensor, "b 3 3"]
    label: Int[Tensor, "b"]
    position: Float[Tensor, "b 3"] | None = None


class Pictures:
    """What a network sees of a set, in memory up to a bound; what does not fit is read again.

    Args:
        data: the set.
        settings: of the network.
    """

    def __init__(self, data: RotationSet, settings: RotationSettings) -> None:
        if not isinstance(data, RotationSet) or len(data) == 0:
            got = type(data).__name__ if not isinstance(data, RotationSet) else "none"
            fix = "Read images with read_rotations, or check --split."
            raise ResectError("rotations", "at least one image with a rotation", got, fix)
        if settings.equivalents == "random" and data.equivalents is None:
            fix = "Use equivalents = 'one'."
            raise ResectError("equivalents", "a set whose equivalent rotations are known", data.format, fix)
        self.data, self.settings, self.known = data, settings, data.known
        self._number = {name: i for i, name in enumerate(self.known)}
        self._kept: dict[int, tuple[Tensor, Tensor, float | None]] = {}
        self._left = settings.memory_gb * 2**30

    def batch(self, turn: Turn) -> Batch:
        """This process's share of a turn's batch; any turn, in any order, always the same."""
        s = self.settings
        g = np.random.default_rng([turn.seed, 7, turn.step])
        rows = turn.mine(g.integers(len(self.data), size=s.batch).tolist())
        picks = turn.mine(g.random(s.batch).tolist())
        roll = torch.tensor(turn.mine(g.uniform(-1, 1, s.batch).tolist()), dtype=torch.float64).deg2rad() * s.roll_deg
        made = self.rows(rows, picks)
        if s.roll_deg == 0:
            return made
        about_axis = so3.exp(torch.nn.functional.pad(roll[:, None], (2, 0))).to(made.rotation)
        # Where the origin is seen turns with the picture, how far away it is stays.
        position = None if made.position is None else torch.einsum("bij,bj->bi", about_axis, made.position)
        return Batch(rolled(made.picture, roll), about_axis @ made.rotation, made.label, position)

    def rows(self, rows: Sequence[int], picks: Sequence[float] | None = None) -> Batch:
        """These samples, with their own labels unless `picks` in [0, 1) choose among equivalents."""
        rotation, position = self._labels(rows, picks), None
        if self.data.render is not None:
            picture = self._rendered(rows)
        else:
            views = [self.view(i) for i in rows]
            picture = torch.stack([v.picture for v in views])
            turn = torch.stack([v.turn for v in views]).to(rotation)
            rotation, position = turn @ rotation, self._position(rows, turn, [v.focal for v in views])
        label = torch.tensor([self._number[self.data.categories[i]] for i in rows])
        return Batch(picture, rotation, label, position)

    def view(self, index: int) -> View:
        """What the network sees of an image."""
        if index not in self._kept:
            found = look(self.data.photo(index), self.settings.side)
            seen = (found.picture * 255).round().byte()
            if seen.nbytes > self._left:
                return View(seen.float() / 255, found.turn, found.focal)
            self._left -= seen.nbytes
            self._kept[index] = seen, found.turn, found.focal
        seen, turn, focal = self._kept[index]
        return View(seen.float() / 255, turn, focal)

    def _position(
        self, rows: Sequence[int], turn: Float[Tensor, "b 3 3"], focal: Sequence[float | None]
    ) -> Float[Tensor, "b 3"] | None:
        lengths = [f for f in focal if f is not None]
        if self.data.translation is None or len(lengths) < len(rows):
            return None
        stands = torch.einsum("bij,bj->bi", turn, self.data.translation[list(rows)].to(turn))
        return told(stands, torch.tensor(lengths).to(turn))

    def _rendered(self, rows: Sequence[int]) -> Float[Tensor, "b 3 s s"]:
        assert self.data.render is not None
        images, side = self.data.render(rows), self.settings.side
        if images.shape[1:3] != (side, side):
            images = torch.stack([resize_area(image, side, side) for image in images])
        return images.permute(0, 3, 1, 2).float().contiguous()

    def _labels(self, rows: Sequence[int], picks: Sequence[float] | None) -> Float[Tensor, "b 3 3"]:
        """Float64; on the set's device where it picks equivalents itself."""
        data = self.data
        if picks is None or self.settings.equivalents == "one" or data.equivalents is None:
            return data.rotation[list(rows)].double().cpu()
        if data.pick is not None:
            return data.pick(rows, picks).double()
        there = [data.equivalents(i) for i in rows]
        return torch.stack([e[int(p * len(e))].double().cpu() for e, p in zip(there, picks, strict=True)])


def digest(data: RotationSet) -> str:
    """Of the names, categories and labels: what a checkpoint belongs to."""
    content = repr((data.format, len(data), data.names[:1000], data.categories[:1000])).encode()
    return hashlib.sha256(content + data.rotation.double().cpu().numpy().tobytes()).hexdigest()
