"""Points of the image plane sorted into the cells of a grid, so that a box finds the few points that may lie in it."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.camera import Camera


@dataclass(frozen=True, eq=False)
class Samples:
    """Points of the image plane in the order of the cells that hold them.

    Attributes:
        points: (S, 2) positions, float64, cell by cell.
        order: place of each in the list that it was made from; `None` when nothing moved.
        start: (G, cells + 1) first point of each cell. One row when all poses share the points, else one row a pose.
        columns: cells in a row.
        rows: of cells.
        origin: corner of the first cell.
        scale: cells per unit along x and y; the cell of a point is ⌊(point − origin) · scale⌋.
        slack: how far from the border of its cell every point lies at least, in cells: a box that only grazes a cell
            need not look into it.
    """

    points: Float[Tensor, "s 2"]
    order: Int[Tensor, "s"] | None
    start: Int[Tensor, "g c"]
    columns: int
    rows: int
    origin: tuple[float, float]
    scale: tuple[float, float]
    slack: float

    @classmethod
    def grid(cls, camera: Camera, device: torch.device) -> "Samples":
        """The centres of all pixels, a cell a pixel."""
        points = camera.pixels(dtype=torch.float64).to(device)
        start = torch.arange(len(points) + 1, device=device)[None]
        return cls(points, None, start, camera.width, camera.height, (0.0, 0.0), (1.0, 1.0), 0.5 - 1e-9)

    @classmethod
    def of(
        cls,
        points: Float[Tensor, "s 2"],
        pose: Int[Tensor, "s"] | None = None,
        poses: int = 1,
        cells: int | None = None,
    ) -> "Samples":
        """Any points.

        Args:
            pose: which of `poses` each belongs to; all of them to every pose when `None`.
            cells: about how many; as many as there are points by default.
        """
        if len(points) == 0:
            start = torch.zeros(poses if pose is not None else 1, 2, dtype=torch.long, device=points.device)
            return cls(points, None, start, 1, 1, (0.0, 0.0), (1.0, 1.0), 0.0)
        low = points.amin(0)
        size = (points.amax(0) - low).clamp_min(1e-6)
        per_cell = math.sqrt(float(size.prod()) / max(cells or len(points), 1))
        columns, rows = (max(1, min(4096, math.ceil(float(x) / per_cell))) for x in size)
        count = torch.tensor([columns, rows], dtype=torch.float64, device=points.device)
        scale = count / (size * (1 + 1e-9))
        place = ((points - low) * scale).long()
        cell = place[:, 1] * columns + place[:, 0] + (0 if pose is None else pose * (columns * rows))
        groups = poses if pose is not None else 1
        sorted_cell, order = cell.sort(stable=True)
        edges = torch.arange(groups * columns * rows + 1, device=points.device)
        begins = torch.searchsorted(sorted_cell, edges)
        start = torch.cat([begins[:-1].view(groups, -1), begins[columns * rows :: columns * rows, None]], 1)
        x, y = (tuple(v.tolist()) for v in (low, scale))
        return cls(points[order], order, start, columns, rows, (x[0], x[1]), (y[0], y[1]), 0.0)

    @property
    def shared(self) -> bool:
        """Whether every pose has the same points."""
        return len(self.start) == 1

    def unsorted(self, values: Tensor, poses: int) -> Tensor:
        """Values of points, (poses · S, …) or (S, …), brought into the order of the list they came from."""
        if self.order is None:
            return values
        if not self.shared:
            return torch.empty_like(values).index_copy_(0, self.order, values)
        by_pose = values.unflatten(0, (poses, -1))
        return torch.empty_like(by_pose).index_copy_(1, self.order, by_pose).flatten(0, 1)

    def near(
        self, pose: Int[Tensor, "b"], low: Float[Tensor, "b 2"], high: Float[Tensor, "b 2"]
    ) -> tuple[Int[Tensor, "r"], Int[Tensor, "r"], Int[Tensor, "r"]]:
        """Runs of consecutive points that may lie in boxes: number of the box, first point, how many."""
        origin, scale = low.new_tensor(self.origin), low.new_tensor(self.scale)
        last = torch.tensor([self.columns - 1, self.rows - 1], device=low.device)
        one = ((low - origin) * scale + self.slack).floor().nan_to_num(0.0).clamp(0, 1e9).long()
        two = ((high - origin) * scale - self.slack).floor().nan_to_num(-1.0).clamp(-1, 1e9).long()
        two = torch.minimum(two, last)
        height = torch.where(one[:, 0] <= two[:, 0], two[:, 1] - one[:, 1] + 1, 0).clamp_min(0)
        box, step = expand(height)
        group = torch.zeros_like(box) if self.shared else pose[box]
        row = group * self.start.shape[1] + (one[box, 1] + step) * self.columns
        flat = self.start.reshape(-1)
        first, after = flat[row + one[box, 0]], flat[row + two[box, 0] + 1]
        full = after > first
        return box[full], first[full], (after - first)[full]


def expand(count: Int[Tensor, "n"]) -> tuple[Int[Tensor, "m"], Int[Tensor, "m"]]:
    """Item i repeated count[i] times, and the number of each repetition: [2, 1] → [0, 0, 1], [0, 1, 0]."""
    item = torch.repeat_interleave(count)
    before = count.cumsum(0) - count
    return item, torch.arange(len(item), device=count.device) - before[item]
