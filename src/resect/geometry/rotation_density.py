"""A density over SO(3): constant on cells of the grid, fine where it matters and coarse elsewhere."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3_grid
from resect.geometry.healpix import MAX_LEVEL
from resect.geometry.rotation_modes import RotationModes, find_modes


@dataclass(frozen=True, eq=False)
class RotationDensity:
    """How likely each rotation is. Densities are with respect to Haar measure of total 1: uniform is 1, log 0.

    Attributes:
        cell: N cells that fill SO(3) without overlap, in the order in which they lie (see `geometry/so3_grid`).
        level: of each cell; they may differ.
        log_density: in each cell; Σ exp(log_density) · volume = 1.
    """

    cell: Int[Tensor, "n"]
    level: Int[Tensor, "n"]
    log_density: Float[Tensor, "n"]

    @classmethod
    def of_logits(
        cls, logits: Float[Tensor, "n"], *, cell: Int[Tensor, "n"] | None = None, level: int | Int[Tensor, "n"]
    ) -> "RotationDensity":
        """From unnormalised log-densities.

        Args:
            logits: one a cell; their dtype is kept.
            cell: which; left out, all of one level in their order.
            level: of all cells, or of each.

        Raises:
            ResectError: the cells do not fill SO(3) exactly once, or a logit is not a finite number.
        """
        cells = torch.arange(len(logits), device=logits.device) if cell is None else cell
        levels = torch.as_tensor(level, device=logits.device).expand(cells.shape)
        if not bool(logits.isfinite().all()):
            raise ResectError("rotation density: logits", "finite numbers", "others")
        first, size = _span(cells, levels)
        whole = so3_grid.cell_count(MAX_LEVEL)
        order = first.argsort()
        starts, ends = first[order], (first + size)[order]
        full = len(cells) > 0 and int(starts[0]) == 0 and int(ends[-1]) == whole
        if not full or not torch.equal(ends[:-1], starts[1:]):
            raise ResectError("rotation density: cells", "cells that fill SO(3) once", f"{len(cells)} that do not")
        total = (logits.double() + (size.double() / whole).log()).logsumexp(0)
        return cls(cells[order], levels[order], (logits - total).to(logits.dtype)[order])

    @classmethod
    def uniform(cls, level: int = 0) -> "RotationDensity":
        """All rotations alike."""
        return cls.of_logits(torch.zeros(so3_grid.cell_count(level), dtype=torch.float64), level=level)

    @property
    def volume(self) -> Float[Tensor, "n"]:
        """Of each cell; together 1; float64."""
        return 1 / (72 * 8.0 ** self.level.double())

    @property
    def mass(self) -> Float[Tensor, "n"]:
        """Probability of each cell, float64."""
        return self.log_density.double().exp() * self.volume

    @property
    def deepest(self) -> int:
        """The finest level in use."""
        return int(self.level.max())

    def centers(self, index: Int[Tensor, "k"] | None = None) -> Float[Tensor, "k 3 3"]:
        """Middles of all cells, or of those at these indices, float64."""
        cell, level = (self.cell, self.level) if index is None else (self.cell[index], self.level[index])
        return so3_grid.cell_center(cell, level)

    def find(self, rotation: Float[Tensor, "*b 3 3"]) -> Int[Tensor, "*b"]:
        """Index of the cell that holds each rotation."""
        fine = so3_grid.cell_of(rotation.to(self.cell.device), MAX_LEVEL)
        return torch.searchsorted(_span(self.cell, self.level)[0], fine, right=True) - 1

    def log_prob(self, rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
        """Log-density at rotations; less `so3_grid.LOG_PI2` it is in the field's measure of total π²."""
        return self.log_density[self.find(rotation)]

    def best(self) -> Float[Tensor, "3 3"]:
        """The middle of the cell of greatest density."""
        return self.centers(self.log_density.argmax()[None])[0]

    def entropy(self) -> Float[Tensor, ""]:
        """−∫ p log p in nats: 0 if uniform, else negative; exp of it is the volume of an equally uncertain region."""
        return -(self.mass * self.log_density.double()).sum()

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "count 3 3"]:
        """Independent draws, uniform within their cells, float64; numbers come from the generator's device."""
        draws = torch.rand(count, 4, generator=generator, dtype=torch.float64, device=generator.device)
        draws = draws.to(self.cell.device)
        heap = self.mass.cumsum(0)
        index = torch.searchsorted(heap, draws[:, 0] * heap[-1], right=True).clamp_max(len(heap) - 1)
        return so3_grid.at(self.cell[index], self.level[index], draws[:, 1:])

    def region(self, mass: float) -> Bool[Tensor, "n"]:
        """The cells of the smallest region that holds this probability or just more."""
        if not 0 < mass <= 1:
            raise ResectError("region: mass", "above 0, at most 1", str(mass))
        order = self.log_density.argsort(descending=True, stable=True)
        heap = self.mass[order].cumsum(0)
        taken = torch.zeros_like(self.cell, dtype=torch.bool)
        taken[order[: int((heap < mass * heap[-1]).sum()) + 1]] = True
        return taken

    def region_mass(self, rotation: Float[Tensor, "*b 3 3"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
        """Probability of what is denser than each rotation's cell, and of what is as dense or denser; float64.

        If the density is true, a number drawn uniformly between the two is uniform in [0, 1].
        """
        order = self.log_density.argsort(descending=True)
        falling, heap = -self.log_density[order], torch.nn.functional.pad(self.mass[order].cumsum(0), (1, 0))
        at = -self.log_prob(rotation).contiguous()
        denser, as_dense = (torch.searchsorted(falling, at, right=right) for right in (False, True))
        return heap[denser].clamp_max(1), heap[as_dense].clamp_max(1)

    def modes(self, count: int = 32, radius_deg: float = 15.0, *, least: float = 0.05) -> RotationModes:
        """Peaks at least `radius_deg` apart with the probability around each, most probable first.

        Args:
            count: at most so many.
            radius_deg: a cell counts for its nearest peak within this; cells farther from all count for none.
            least: a peak with less than this part of the greatest mass is left out.
        """
        return find_modes(self, count, radius_deg, least)

    def joined(self, level: int) -> "RotationDensity":
        """With cells beyond a level joined to cells of that level, each of their mean density."""
        up = (self.level - level).clamp_min(0)
        first, _ = _span(self.cell >> 3 * up, self.level - up)
        _, whole = first.unique_consecutive(return_inverse=True)
        start = torch.searchsorted(whole, torch.arange(int(whole[-1]) + 1, device=whole.device))
        value, part = self.log_density.double(), 8.0 ** -up.double()
        top = torch.full_like(start, -torch.inf, dtype=value.dtype).scatter_reduce(0, whole, value, "amax")
        mean = torch.zeros_like(top).index_add(0, whole, (value - top[whole]).exp() * part).log() + top
        return RotationDensity((self.cell >> 3 * up)[start], (self.level - up)[start], mean.to(self.log_density))

    def heaviest(self, rest: float = 1e-9) -> tuple[Int[Tensor, "k"], Float[Tensor, "k"]]:
        """Indices of the fewest cells that leave out at most `rest` of the probability, and theirs, scaled to 1."""
        mass, order = self.mass.sort(descending=True)
        kept = int((mass.cumsum(0) < (1 - rest) * mass.sum()).sum()) + 1
        return order[:kept], mass[:kept] / mass[:kept].sum()

    def spread(self, truth: Float[Tensor, "s 3 3"], *, chunk: int = 1 << 20) -> Float[Tensor, ""]:
        """Mean angle to the nearest of the true rotations, radians: E min_s d(R, truth_s)."""
        index, mass = self.heaviest()
        flat = truth.to(self.cell.device).double().flatten(1)
        angles = []
        for part in index.split(max(1, chunk // len(flat))):
            trace = (self.centers(part).flatten(1) @ flat.mT).amax(-1)
            angles.append(2 * ((3 - trace).clamp(0, 4).sqrt() / 2).asin())
        return (mass * torch.cat(angles)).sum()


def _span(cell: Int[Tensor, "n"], level: Int[Tensor, "n"]) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    """The first of the finest cells in each cell, and their number."""
    size = 1 << 3 * (MAX_LEVEL - level)
    return cell * size, size
