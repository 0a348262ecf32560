"""Paths of a camera: poses with time stamps, and which poses of two paths belong together."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where a camera (or a body) was, over time. A moment without a pose has no row: nothing stands in for it.

    Attributes:
        seconds: time stamps, increasing, float64; the row numbers 0, 1, … where the file has none.
        world_from_cam: a pose for each, float64.
        stamps: the time stamps as the file writes them; empty where it has none.
        format: that it was read from.
        notes: what the reader wants to be known.
    """

    seconds: Float[Tensor, "n"]
    world_from_cam: SE3
    stamps: tuple[str, ...] = ()
    format: str = "tum"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def timed(self) -> bool:
        """Whether the time stamps are more than row numbers."""
        return len(self.stamps) > 0

    @property
    def positions(self) -> Float[Tensor, "n 3"]:
        """Camera centres in the world."""
        return self.world_from_cam.t

    def take(self, rows: Int[Tensor, "k"]) -> "Trajectory":
        """These rows, in this order."""
        stamps = tuple(self.stamps[k] for k in rows.tolist()) if self.timed else ()
        return replace(self, seconds=self.seconds[rows], world_from_cam=self.world_from_cam[rows], stamps=stamps)

    def moved(self, other_from_world: Sim3) -> "Trajectory":
        """The same cameras in another world: centres are carried over, axes are turned."""
        cam_from_other = other_from_world.move_camera(self.world_from_cam.inverse())
        return replace(self, world_from_cam=cam_from_other.inverse())


def associate(
    seconds: Float[Tensor, "n"], others: Float[Tensor, "m"], max_difference: float = 0.02
) -> tuple[Int[Tensor, "k"], Int[Tensor, "k"]]:
    """Pairs of time stamps that belong together: each is used at most once, and the nearest are paired first.

    The pairs of the TUM RGB-D tools' `associate.py`, found by pairing mutual nearest neighbours until none are left.

    Args:
        seconds: increasing.
        others: increasing.
        max_difference: seconds; pairs differ by less (by no more, where it is 0).

    Returns:
        Indices into `seconds` and into `others`, increasing.
    """
    i, j = (torch.arange(len(x), device=x.device) for x in (seconds, others))
    found_i, found_j = [i[:0]], [j[:0]]
    while len(i) and len(j):
        to_j, to_i = nearest(seconds[i], others[j]), nearest(others[j], seconds[i])
        gap_i, gap_j = (seconds[i] - others[j][to_j]).abs(), (others[j] - seconds[i][to_i]).abs()
        mutual = (to_i[to_j] == torch.arange(len(i), device=i.device)) & _close(gap_i, max_difference)
        found_i.append(i[mutual])
        found_j.append(j[to_j[mutual]])
        free = torch.ones_like(j, dtype=torch.bool)
        free[to_j[mutual]] = False
        # Whatever has no near neighbour now will have none later.
        i, j = i[~mutual & _close(gap_i, max_difference)], j[free & _close(gap_j, max_difference)]
    left, right = torch.cat(found_i), torch.cat(found_j)
    order = left.argsort()
    return left[order], right[order]


def nearest(values: Float[Tensor, "n"], others: Float[Tensor, "m"]) -> Int[Tensor, "n"]:
    """Index of the nearest of `others`, which never falls and is not empty; the first one of a tie."""
    after = torch.searchsorted(others, values).clamp_max(len(others) - 1)
    before = (after - 1).clamp_min(0)
    found = torch.where((values - others[before]).abs() <= (others[after] - values).abs(), before, after)
    return torch.searchsorted(others, others[found])


def _close(gap: Tensor, most: float) -> Tensor:
    return gap < most if most > 0 else gap == 0
