"""Points of the image plane sorted into the cells of a grid, so that a box finds the few points that may lie in it."""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.camera import Camera
from resect.scenes.mesh.threads import in_threads


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
    def of(cls, points: Float[Tensor, "s 2"]) -> "Samples":
        """Any points, the same for every pose; about as many cells as there are points."""
        none = torch.zeros(len(points), dtype=torch.long, device=points.device)
        return cls.of_poses(points, none, 1, len(points))

    @classmethod
    def of_poses(
        cls, points: Float[Tensor, "s 2"], pose: Int[Tensor, "s"], poses: int, cells: int, *, fused: bool = False
    ) -> "Samples":
        """Points of their own for each pose.

        Args:
            pose: whose; ascending.
            cells: about how many.
            fused: whether numba sorts them.
        """
        columns, rows, origin, scale = _cells_around(points, cells)
        if fused:
            ordered, order, start = _by_counting(points, pose, poses, columns, rows, origin, scale)
        else:
            place = ((points - points.new_tensor(origin)) * points.new_tensor(scale)).long()
            cell, order = (place[:, 1] * columns + place[:, 0] + pose * (columns * rows)).sort(stable=True)
            edges = torch.arange(poses * columns * rows + 1, device=points.device)
            begins = torch.searchsorted(cell, edges)
            start = torch.cat([begins[:-1].view(poses, -1), begins[columns * rows :: columns * rows, None]], 1)
            ordered = points[order]
        return cls(ordered, order, start, columns, rows, origin, scale, 0.0)

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


def parts_of(count: Int[Tensor, "n"], most: int) -> list[slice]:
    """Consecutive runs whose samples are about `most` together."""
    if not len(count):
        return []
    ends = count.cumsum(0)
    marks = torch.arange(most, int(ends[-1]) + most, most, device=count.device)
    cuts = [0, *(torch.searchsorted(ends, marks).clamp_max(len(count) - 1) + 1).unique().tolist()]
    return [slice(a, b) for a, b in pairwise(cuts)]


def _cells_around(points: Tensor, cells: int) -> tuple[int, int, tuple[float, float], tuple[float, float]]:
    """Columns, rows, origin and scale of a grid of about so many square cells that holds all points."""
    if not len(points):
        return 1, 1, (0.0, 0.0), (1.0, 1.0)
    low = points.amin(0)
    width, height = (points.amax(0) - low).clamp_min(1e-6).tolist()
    side = math.sqrt(width * height / max(cells, 1))
    columns, rows = (max(1, min(4096, math.ceil(x / side))) for x in (width, height))
    x, y = low.tolist()
    return columns, rows, (x, y), (columns / (width * (1 + 1e-9)), rows / (height * (1 + 1e-9)))


def _by_counting(
    points: Tensor,
    pose: Tensor,
    poses: int,
    columns: int,
    rows: int,
    origin: tuple[float, ...],
    scale: tuple[float, ...],
) -> tuple[Tensor, Tensor, Tensor]:
    from resect.scenes.mesh.kernel import bin_points

    ends = torch.bincount(pose, minlength=poses).cumsum(0).tolist()
    start = torch.zeros(poses, columns * rows + 1, dtype=torch.long)
    order, ordered = torch.empty(len(points), dtype=torch.long), torch.empty_like(points)
    p, s, o, q = (x.numpy() for x in (points.contiguous(), start, order, ordered))

    def work(h: int) -> None:
        first, last = ends[h - 1] if h else 0, ends[h]
        bin_points(p[first:last], columns, rows, origin, scale, first, s[h], o[first:last], q[first:last])

    in_threads(work, poses)
    return ordered, order, start
