"""The voxel field in plain PyTorch: the oracle of the kernels' tests, and what runs where numba is absent or on a GPU.

Any device and dtype; differentiable in rays, densities and colours. Rays march in lockstep, so it is slow on a CPU.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.scenes.field.grid import BLOCK, Grid, March

_SH0 = 0.28209479
_SH1 = 0.48860251
_MOST_STEPS = 20000


@dataclass(frozen=True, eq=False)
class Voxels:
    """A `Grid` as tensors.

    Attributes:
        resolution: voxels along an edge.
        table: as in `Grid`.
        density: log-density of each voxel in the pool.
        colour: colour records of each voxel.
    """

    resolution: int
    table: Int[Tensor, "cells"]
    density: Float[Tensor, "v"]
    colour: Float[Tensor, "v 16"]

    @classmethod
    def of(cls, grid: Grid, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> "Voxels":
        """A copy of a grid."""
        table = torch.from_numpy(grid.table).to(device=device, dtype=torch.long)
        density, colour = (torch.tensor(a, device=device, dtype=dtype) for a in (grid.density, grid.colour))
        return cls(grid.resolution, table, density, colour)

    @property
    def cells(self) -> int:
        """Cells along an edge."""
        return self.resolution // 4


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of N rays, padded to S each.

    Attributes:
        distance: of each sample along its ray.
        length: of the ray that a sample stands for.
        used: false where the padding is.
    """

    distance: Float[Tensor, "n s"]
    length: Float[Tensor, "n s"]
    used: Bool[Tensor, "n s"]


@dataclass(frozen=True, eq=False)
class Shaded:
    """What rays show.

    Attributes:
        rgb: colour, background included.
        alpha: 1 - transmittance.
        expected: mean distance by weight; -1 without any sample.
        median: distance where half of the light is gone; -1 if it never is.
        weight: of each sample; 0 where it was dropped.
    """

    rgb: Float[Tensor, "n 3"]
    alpha: Float[Tensor, "n"]
    expected: Float[Tensor, "n"]
    median: Float[Tensor, "n"]
    weight: Float[Tensor, "n s"]


def contract(points: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """x inside the unit ball, (2 - 1/|x|) x/|x| outside; the image is the ball of radius 2."""
    norm = points.norm(dim=-1, keepdim=True).clamp_min(1.0)
    return (2 - 1 / norm) / norm * points


def uncontract(points: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """The inverse of `contract`, for |points| < 2."""
    norm = points.norm(dim=-1, keepdim=True)
    beyond = 1 / (2 - norm.clamp(1.0, 2.0 - 1e-7)) / norm.clamp_min(1.0)
    return torch.where(norm > 1, beyond, torch.ones_like(beyond)) * points


@torch.no_grad()
def sample_distances(
    voxels: Voxels,
    origin: Float[Tensor, "n 3"],
    direction: Float[Tensor, "n 3"],
    march: March,
    start: Float[Tensor, "n"],
) -> Samples:
    """Where rays take samples: one step of one voxel after another, jumping over empty cells as the kernels do."""
    quarter = voxels.resolution / 4
    voxel_step = float(march.voxels)
    t = torch.full_like(start, float(march.near))
    t = t + _steps(origin + direction * t[:, None], direction, quarter)[0] * voxel_step * start
    distance, length, used = [], [], []
    for _ in range(_MOST_STEPS):
        active = t < float(march.far)
        if not bool(active.any()):
            break
        point = origin + direction * t[:, None]
        step, least_step = _steps(point, direction, quarter)
        entry = _entry(voxels, (_grid_coordinates(point, voxels.resolution)).long())
        occupied = (entry >= 0) & (entry % 2 == 1)
        empty = 4 * (-entry.to(t) - 1) + 0.5
        stride = step * voxel_step
        jump = torch.where(entry < -1, torch.maximum(stride, least_step * empty), stride)
        distance.append(t)
        length.append(stride)
        used.append(active & occupied)
        t = torch.where(active, t + jump, t)
    if not distance:
        nothing = t.new_zeros(len(t), 0)
        return Samples(nothing, nothing, nothing.bool())
    return _packed(torch.stack(distance, 1), torch.stack(length, 1), torch.stack(used, 1))


def _packed(distance: Tensor, length: Tensor, used: Tensor) -> Samples:
    """Moves used samples to the front of each row and cuts the rest."""
    most = int(used.sum(1).max()) if used.numel() else 0
    order = torch.argsort((~used).to(torch.int8), dim=1, stable=True)[:, :most]
    return Samples(distance.gather(1, order), length.gather(1, order), used.gather(1, order))


def _steps(point: Tensor, direction: Tensor, quarter: float) -> tuple[Tensor, Tensor]:
    """World lengths of one voxel along the ray: here, and the least of any point ahead."""
    norm = point.norm(dim=-1).clamp_min(1.0)
    tangential, radial = (2 - 1 / norm) / norm, 1 / norm**2
    along = (point * direction).sum(-1) / norm
    along2 = along.square().clamp(max=1.0)
    outside = 1 / (quarter * (tangential.square() * (1 - along2) + radial.square() * along2).sqrt())
    inside = torch.full_like(outside, 1 / quarter)
    step = torch.where(norm > 1, outside, inside)
    return step, torch.where(along >= 0, step, inside)


def _grid_coordinates(point: Tensor, resolution: int) -> Tensor:
    """Voxel coordinates of points; integers at voxel centres."""
    place = contract(point) * (resolution / 4) + resolution / 2 - 0.5
    return place.clamp(0, resolution - 1.001)


def cell_index(voxels: Voxels, point: Float[Tensor, "*b 3"]) -> Int[Tensor, "*b"]:
    """Flat index of the cell that holds points."""
    cell = _grid_coordinates(point, voxels.resolution).long() >> 2
    return (cell[..., 0] * voxels.cells + cell[..., 1]) * voxels.cells + cell[..., 2]


def _entry(voxels: Voxels, index: Tensor) -> Tensor:
    """Table entries of the cells of voxels (..., 3)."""
    cell = index >> 2
    return voxels.table[(cell[..., 0] * voxels.cells + cell[..., 1]) * voxels.cells + cell[..., 2]]


def interpolation(voxels: Voxels, point: Float[Tensor, "*b 3"]) -> tuple[Int[Tensor, "*b 8"], Float[Tensor, "*b 8"]]:
    """Pool indices of the eight voxels around points (0, the dummy, where there is none), and their weights."""
    place = _grid_coordinates(point, voxels.resolution)
    base = place.detach().long()
    fraction = place - base
    index, weight = [], []
    for code in range(8):
        offset = torch.tensor([code >> 2 & 1, code >> 1 & 1, code & 1], device=point.device)
        corner = base + offset
        entry = _entry(voxels, corner)
        local = corner & 3
        voxel = (entry >> 1) * BLOCK + local[..., 0] * 16 + local[..., 1] * 4 + local[..., 2]
        index.append(torch.where(entry >= 0, voxel, torch.zeros_like(voxel)))
        weight.append(torch.where(offset == 1, fraction, 1 - fraction).prod(-1))
    return torch.stack(index, -1), torch.stack(weight, -1)


def shade(
    voxels: Voxels,
    origin: Float[Tensor, "n 3"],
    direction: Float[Tensor, "n 3"],
    march: March,
    background: Float[Tensor, "#n 3"],
    samples: Samples,
    fade: Float[Tensor, "n s"] | None = None,
) -> Shaded:
    """Composites given samples; differentiable in everything but their distances.

    ``fade`` scales the gradient that reaches each sample, and changes nothing else.
    """
    point = origin[:, None] + direction[:, None] * samples.distance[..., None]
    index, corner_weight = interpolation(voxels, point)
    log_density = _faded((voxels.density[index] * corner_weight).sum(-1), fade)
    step = float(march.voxels) * 128 / voxels.resolution
    depth = torch.where(samples.used, log_density.clamp(max=12.0).exp() * step, torch.zeros_like(log_density))
    before = (-(torch.cumsum(depth, -1) - depth)).exp()
    alive = (before > float(march.least_transmittance)) & samples.used
    depth = torch.where(alive, depth, torch.zeros_like(depth))
    after = (-torch.cumsum(depth, -1)).exp()
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], -1)
    weight = before - after
    weight = torch.where(weight > float(march.least_weight), weight, torch.zeros_like(weight))
    through = after[:, -1] if after.shape[1] else after.new_ones(len(after))
    tone = _faded(_tone(voxels.colour[index], corner_weight, direction), None if fade is None else fade[..., None])
    rgb = (weight[..., None] * tone).sum(1) + through[:, None] * background
    total = weight.sum(-1)
    mean = (weight * samples.distance).sum(-1) / total.clamp_min(1e-12)
    expected = torch.where(total > 0, mean, torch.full_like(mean, -1.0))
    return Shaded(rgb, 1 - through, expected, _median(samples, depth, before, after), weight)


def _faded(value: Tensor, fade: Tensor | None) -> Tensor:
    """The value, its gradient scaled."""
    return value if fade is None else value.detach() + fade * (value - value.detach())


def _tone(record: Tensor, corner_weight: Tensor, direction: Tensor) -> Tensor:
    """(n, s, 3) colours from the records at the corners (n, s, 8, 16) and view directions (n, 3)."""
    lanes = (record * corner_weight[..., None]).sum(-2).unflatten(-1, (4, 4))[..., :3]
    x, y, z = direction.unbind(-1)
    basis = torch.stack([torch.full_like(x, _SH0), -_SH1 * y, _SH1 * z, -_SH1 * x], -1)
    return (lanes * basis[:, None, :, None]).sum(-2).sigmoid()


@torch.no_grad()
def _median(samples: Samples, depth: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Distance at which transmittance crosses one half, interpolated within the step around a sample."""
    crossing = (before > 0.5) & (after <= 0.5)
    part = (2 * before).log() / depth.clamp_min(1e-30) - 0.5
    place = samples.distance + samples.length * part
    found = torch.where(crossing, place, torch.zeros_like(place)).sum(-1)
    return torch.where(crossing.any(-1), found, torch.full_like(found, -1.0))


def distortion_loss(weight: Float[Tensor, "n s"], samples: Samples) -> Float[Tensor, "n"]:
    """Sum over all pairs w_i w_j |s_i - s_j| + 1/3 sum w_i^2 ds_i with s = t/(1+t), in O(s) as samples are sorted.

    Reference: Barron et al., Mip-NeRF 360, CVPR 2022, eq. 15. The kernels hold s at the samples, not at interval
    middles, and their gradient is this one's.
    """
    far = 1 / (1 + samples.distance)
    s, width = samples.distance * far, samples.length * far * far
    below, below_s = weight.cumsum(1) - weight, (weight * s).cumsum(1) - weight * s
    return (2 * weight * (s * below - below_s) + weight.square() * width / 3).sum(1)


def render_rays(
    voxels: Voxels,
    origin: Float[Tensor, "n 3"],
    direction: Float[Tensor, "n 3"],
    march: March,
    background: Float[Tensor, "3"],
) -> Shaded:
    """What rays show; the counterpart of the kernel of the same name."""
    half = torch.full_like(origin[:, 0], 0.5)
    samples = sample_distances(voxels, origin.detach(), direction.detach(), march, half)
    return shade(voxels, origin, direction, march, background.to(origin)[None], samples)


def ray_jacobian(
    voxels: Voxels,
    origin: Float[Tensor, "n 3"],
    direction: Float[Tensor, "n 3"],
    march: March,
    background: Float[Tensor, "3"],
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3 3"], Float[Tensor, "n 3 3"]]:
    """Colour and its derivatives with respect to origin and direction, [ray, channel, axis]; by autograd."""
    with torch.enable_grad():
        o, d = origin.detach().requires_grad_(), direction.detach().requires_grad_()
        rgb = render_rays(voxels, o, d, march, background).rgb
        rows = [torch.autograd.grad(rgb[:, c].sum(), (o, d), retain_graph=c < 2) for c in range(3)]
    return rgb.detach(), torch.stack([r[0] for r in rows], 1), torch.stack([r[1] for r in rows], 1)
