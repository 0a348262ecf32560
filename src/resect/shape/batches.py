"""Batches for an occupancy network: pictures or clouds, points, and whether they are inside; the same for every run."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.data.shapes import ShapeSet
from resect.errors import ResectError
from resect.shape.look import look, mirrored
from resect.shape.settings import OccupancySettings
from resect.training.loop import Turn

_JITTER = 1e-4  # published: float16 points are moved by this, so that they do not sit on a lattice


@dataclass(frozen=True, eq=False)
class Batch:
    """B samples of N points each.

    Attributes:
        seen: pictures (b, 3, s, s) in [0, 1], or clouds (b, m, 3).
        points: object frame.
        inside: the truth.
    """

    seen: Tensor
    points: Float[Tensor, "b n 3"]
    inside: Bool[Tensor, "b n"]


class Shelf:
    """Shapes in memory, up to a bound; what does not fit is read again.

    Args:
        data: the shapes.
        settings: of the network.
    """

    def __init__(self, data: ShapeSet, settings: OccupancySettings) -> None:
        if len(data) == 0:
            raise ResectError("shapes", "at least one", "none")
        self.data, self.settings = data, settings
        self._kept: dict[tuple[str, int, int], tuple[Tensor, ...]] = {}
        self._views: dict[int, int] = {}
        self._left = settings.memory_gb * 2**30

    def picture(self, index: int, view: int) -> Float[Tensor, "3 s s"]:
        """A view as the network sees it; numbered modulo the number of views."""
        key = ("view", index, view)
        if key not in self._kept:
            view %= self.views(index)
            image = look(self.data.photo(index, view), self.settings)
            return self._keep(key, ((image * 255).round().byte(),))[0].float() / 255
        return self._kept[key][0].float() / 255

    def views(self, index: int) -> int:
        """How many pictures there are of a shape."""
        if index not in self._views:
            self._views[index] = len(self.data.images(index))
        return self._views[index]

    def points(self, index: int, *, near: bool = False) -> tuple[Float[Tensor, "n 3"], Bool[Tensor, "n"]]:
        """Points and whether they are inside; uniform ones where there are none near the surface."""
        near = near and self.data.has_near(index)
        key = ("points", index, int(near))
        found = self._kept.get(key)
        if found is None:
            points, inside = self.data.points(index, near=near)
            found = self._keep(key, (points.half(), inside))
        return found[0].float(), found[1]

    def cloud(self, index: int, g: np.random.Generator) -> Float[Tensor, "m 3"]:
        """Noisy points on the surface."""
        key = ("cloud", index, 0)
        found = self._kept.get(key)
        if found is None:
            found = self._keep(key, (self.data.surface(index)[0],))
        rows = torch.from_numpy(g.integers(len(found[0]), size=self.settings.cloud))
        noise = g.normal(0, self.settings.cloud_noise, (self.settings.cloud, 3)).astype(np.float32)
        return found[0][rows] + torch.from_numpy(noise)

    def _keep(self, key: tuple[str, int, int], value: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        size = sum(t.nbytes for t in value)
        if size <= self._left:
            self._left -= size
            self._kept[key] = value
        return value

    def batch(self, turn: Turn) -> Batch:
        """This process's share of a turn's batch; any turn, in any order, always the same."""
        g = np.random.default_rng([turn.seed, 3, turn.step])
        seeds = g.integers(2**63, size=self.settings.batch).tolist()
        samples = [
            self._sample(int(h.integers(len(self.data))), h) for h in map(np.random.default_rng, turn.mine(seeds))
        ]
        seen, points, inside = (torch.stack(parts) for parts in zip(*samples, strict=True))
        return Batch(seen, points, inside)

    def _sample(self, index: int, g: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        s = self.settings
        near = round(s.near * s.points)
        parts = []
        for is_near, count in ((True, near), (False, s.points - near)):
            if count:
                points, inside = self.points(index, near=is_near)
                rows = torch.from_numpy(g.integers(len(points), size=count))
                parts.append((points[rows], inside[rows]))
        points, inside = (torch.cat(p) for p in zip(*parts, strict=True))
        points = points + torch.from_numpy(g.normal(0, _JITTER, points.shape).astype(np.float32))
        if s.input == "points":
            return self.cloud(index, g), points, inside
        image = self.picture(index, int(g.integers(self.views(index))))
        if s.mirror and g.random() < 0.5:  # mirrored in the plane z = 0, the shape shows the mirrored picture
            image, points = image.flip(-1), mirrored(points)
        return image, points, inside
