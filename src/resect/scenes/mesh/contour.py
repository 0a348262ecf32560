"""What edges do to the pixels that they cross: exact coverage, and its exact derivative along the visible contour.

The value of a pixel is the mean over its square P of what is seen. Where an edge of the mesh crosses P, what is seen
jumps by D = left − right. Every edge that could be a contour (its faces lie on one side of it in the image) is cut into
pieces at the borders of pixels; both sides of a piece are looked at by a ray of its own, so that a hidden edge finds
D = 0 and visibility needs no rule of its own. Then, with the normal n of a piece to its left and its length ℓ,

    mean over P = value at the centre c − Σ s A D,         A: area of the part of P whose line to c crosses the piece,
    d mean / dδ = d (value at c) / dδ − Σ ℓ D n·(motion of the edge),          s = 1 where c lies to the left, else −1,

the first exact for polygons of constant colour (the line from c to any other point of P crosses each contour between
them once), the second the boundary term of Reynolds' transport theorem: edge sampling (Li et al., "Differentiable Monte
Carlo ray tracing through edge sampling", 2018) with every edge in every pixel sampled at its middle.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.scenes.mesh.lens import Lens
from resect.scenes.mesh.samples import Samples, expand
from resect.scenes.mesh.surface import Surface
from resect.scenes.mesh.threads import in_threads

_PART_PX = 8.0  # edges are first cut into parts of this length, as the box around a long one holds many pixels
_BENT_PART_PX = 1.0  # under a lens with distortion, where the image of a straight part is curved
_MOST_PARTS = 4096
_BESIDE_PX, _BESIDE_BENT_PX = 1e-3, 1e-2
_NEAREST = 1e-5  # of the farthest: nearer parts of edges are left out, as their images are endless


@dataclass(frozen=True, eq=False)
class Pieces:
    """Parts of edges, each within the square of one pixel.

    Attributes:
        pose: whose.
        sample: which of the pixels, in the order of `Samples.points`.
        middle: in pixels.
        normal: unit, to the left.
        length: pixels.
        point: the middle, in the camera's frame.
        area: A of the module, signed by s, square pixels.
    """

    pose: Int[Tensor, "n"]
    sample: Int[Tensor, "n"]
    middle: Float[Tensor, "n 2"]
    normal: Float[Tensor, "n 2"]
    length: Float[Tensor, "n"]
    point: Float[Tensor, "n 3"]
    area: Float[Tensor, "n"]


def possible_contours(surface: Surface, facing: Float[Tensor, "h f"]) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    """(pose, edge) of the edges whose faces lie on one side of them in the image, and of those with a single face."""
    sign = facing.sign().to(torch.int8)
    first, second = surface.edge_faces.unbind(1)
    alone = second < 0
    turn = torch.where(alone, 0, -surface.edge_sense).to(torch.int8)
    same = sign.index_select(1, first) * sign.index_select(1, second.clamp_min(0)) * turn
    pose, edge = (same <= 0).nonzero().unbind(1)
    return pose, edge


def fused_pieces(
    surface: Surface, points: Float[Tensor, "h v 3"], vertices: Float[Tensor, "h v 3"],
    pinhole: tuple[float, float, float, float], samples: Samples, near: float,
) -> Pieces:  # fmt: skip
    """`pieces` of all possible contours by numba kernels, a pose a thread; for cameras without distortion.

    Args:
        points: vertices in homogeneous image coordinates.
        vertices: in the camera's frame.
        pinhole: fx, fy, cx, cy.
    """
    from resect.scenes.mesh.contour_kernel import cut_edges, facing_signs

    assert samples.shared, "pixels are the same for all poses"
    p, x, f, start, xy = (
        t.contiguous().numpy() for t in (points, vertices, surface.faces, samples.start, samples.points)
    )
    topology = [t.contiguous().numpy() for t in (surface.edges, surface.edge_faces, surface.edge_sense)]
    grid = samples.columns, samples.rows, samples.origin, samples.scale, samples.slack
    found: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0), np.empty(0))] * len(p)

    def work(h: int) -> None:
        sign = np.empty(len(f), np.int8)
        facing_signs(p[h], f, sign)
        room, before, after = 1024, 1024, 1025
        while max(before, after) > room:
            room = 2 * max(before, after)
            out_sample, out = np.empty(room, np.int64), np.empty((room, 9))
            scratch = (np.empty(room, np.int32), np.empty(room, np.int64), np.empty((room, 6)), np.empty((room, 6)))
            head = np.full(len(xy), -1, np.int32)
            before, after = cut_edges(
                x[h], sign, *topology, pinhole, near, _PART_PX, _MOST_PARTS, xy, start[0], *grid, 0, head, *scratch,
                out_sample, out,
            )  # fmt: skip
        found[h] = out_sample[:after], out[:after]

    in_threads(work, len(p))
    sample, out = (torch.from_numpy(np.concatenate(t)) for t in zip(*found, strict=True))
    count = torch.tensor([len(s) for s, _ in found])
    middle, normal, length, point, area = out.split([2, 2, 1, 3, 1], 1)
    return Pieces(torch.repeat_interleave(count), sample, middle, normal, length[:, 0], point, area[:, 0])


def pieces(
    begin: Float[Tensor, "n 3"],
    end: Float[Tensor, "n 3"],
    pose: Int[Tensor, "n"],
    lens: Lens,
    samples: Samples,
    near: float,
) -> Pieces:
    """Cuts edges, given by their ends in the camera's frame, at the borders of the pixels around `samples`."""
    begin, end, pose = _before_camera(begin, end, pose, near)
    (a, fine_a), (b, fine_b) = lens.project(begin), lens.project(end)
    long = (b - a).norm(dim=-1).nan_to_num(0.0, 0.0)
    parts = (long / (_PART_PX if lens.straight else _BENT_PART_PX)).ceil().clamp(1, _MOST_PARTS).long() * (
        fine_a & fine_b
    )
    edge, number = expand(parts)
    step = (end - begin)[edge] / parts[edge, None]
    begin, pose = begin[edge] + step * number[:, None], pose[edge]
    a, b = lens.project(begin)[0], lens.project(begin + step)[0]
    part, first, count = samples.near(pose, torch.minimum(a, b) - 0.5, torch.maximum(a, b) + 0.5)
    run, offset = expand(count)
    part, sample = part[run], first[run] + offset
    start = a[part] - samples.points[sample]
    along = (b - a)[part]
    t0, t1 = _within_square(start, along)
    kept = (t1 > t0).nonzero()[:, 0]
    start, along, t0, t1, part, sample = (x[kept] for x in (start, along, t0[:, None], t1[:, None], part, sample))
    cell = pose[part] * len(samples.points) + sample if samples.shared else sample
    which, s0, s1 = _between_crossings(cell, start + t0 * along, start + t1 * along)
    start, along, t0, t1, part, sample = (x[which] for x in (start, along, t0, t1, part, sample))
    t0, t1 = t0 + s0[:, None] * (t1 - t0), t0 + s1[:, None] * (t1 - t0)
    p, q = start + t0 * along, start + t1 * along
    length = (q - p).norm(dim=-1)
    normal = torch.stack([-along[:, 1], along[:, 0]], -1) / along.norm(dim=-1, keepdim=True).clamp_min(1e-300)
    middle = 0.5 * (p + q)
    side = -(normal * middle).sum(-1).sign()
    point = _on_line(begin[part], step[part], 0.5 * (t0 + t1)[:, 0])
    return Pieces(pose[part], sample, middle + samples.points[sample], normal, length, point, side * _area_beyond(p, q))


def nearest(vertices: Float[Tensor, "h v 3"], near: float) -> float:
    """Depth from which on edges count."""
    return max(near, _NEAREST * float(vertices.abs().nan_to_num(0.0, 0.0, 0.0).amax()), 1e-30)


def beside(piece: Pieces, lens: Lens) -> Float[Tensor, "2n 2"]:
    """Pixels to the left and to the right of the middle of each piece, in turn: as near as the arithmetic allows."""
    step = (_BESIDE_PX if lens.straight else _BESIDE_BENT_PX) * piece.normal
    return torch.stack([piece.middle + step, piece.middle - step], 1).flatten(0, 1)


def motion(piece: Pieces, derivative: Float[Tensor, "n 2 3"]) -> Float[Tensor, "n 6"]:
    """n · d(pixel of the edge) / dδ, from ∂π/∂X: columns (g, X × g) with g = n ∂π/∂X."""
    g = (piece.normal[:, None] @ derivative)[:, 0]
    return torch.cat([g, torch.linalg.cross(piece.point, g)], -1)


def _before_camera(begin: Tensor, end: Tensor, pose: Tensor, near: float) -> tuple[Tensor, Tensor, Tensor]:
    """The parts of edges beyond z = near."""
    some = ((begin[:, 2] > near) | (end[:, 2] > near)).nonzero()[:, 0]
    begin, end, pose = begin[some], end[some], pose[some]
    t = ((near - begin[:, 2:]) / (end[:, 2:] - begin[:, 2:])).nan_to_num(0.0, 0.0, 0.0)
    cut = torch.cat([(begin + t * (end - begin))[:, :2], torch.full_like(t, near)], -1)
    return torch.where(begin[:, 2:] > near, begin, cut), torch.where(end[:, 2:] > near, end, cut), pose


def _within_square(start: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """The range of t in [0, 1] for which start + t along lies in [−½, ½)² (Liang and Barsky, 1984)."""
    moves = along != 0
    safe = torch.where(moves, along, torch.ones_like(along))
    one, two = (-0.5 - start) / safe, (0.5 - start) / safe
    inside = (start >= -0.5) & (start < 0.5)
    low = torch.where(moves, torch.minimum(one, two), torch.where(inside, -1.0, 2.0).to(start))
    high = torch.where(moves, torch.maximum(one, two), torch.where(inside, 2.0, -1.0).to(start))
    return low.amax(1).clamp_min(0), high.amin(1).clamp_max(1)


def _between_crossings(cell: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cuts pieces from p to q where others of the same pixel cross them: there one edge may pass behind another.

    Returns:
        Number of the piece, and the part of it, from and to, in [0, 1].
    """
    order = cell.argsort(stable=True)
    _, count = torch.unique_consecutive(cell[order], return_counts=True)
    of_cell = torch.repeat_interleave(count)
    one, other = expand(count[of_cell])
    first = (count.cumsum(0) - count)[of_cell]
    one, other = order[one], order[first[one] + other]
    d, e, gap = (q - p)[one], (q - p)[other], p[other] - p[one]
    det = _cross(d, e)
    det = torch.where(det == 0, torch.full_like(det, torch.inf), det)
    t, u = _cross(gap, e) / det, _cross(gap, d) / det
    inner = ((t > 1e-9) & (t < 1 - 1e-9) & (u > 1e-9) & (u < 1 - 1e-9)).nonzero()[:, 0]
    whole = torch.arange(len(cell), device=cell.device)
    if not len(inner):
        return whole, torch.zeros_like(p[:, 0]), torch.ones_like(p[:, 0])
    number = torch.cat([whole, one[inner], whole])
    at = torch.cat([torch.zeros_like(p[:, 0]), t[inner], torch.ones_like(p[:, 0])])
    order = (2 * number + at).argsort(stable=True)
    number, at = number[order], at[order]
    begins = (number[1:] == number[:-1]).nonzero()[:, 0]
    return number[begins], at[begins], at[begins + 1]


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _on_line(begin: Tensor, step: Tensor, t: Tensor) -> Tensor:
    """The point of a line whose image is at part t between the images of begin and begin + step.

    1/z is linear in the image: the parameter along the line is t z0 / (z1 + t (z0 − z1)). Lenses bend the image of so
    short a piece too little to matter.
    """
    z0, z1 = begin[:, 2], begin[:, 2] + step[:, 2]
    return begin + step * (t * z0 / (z1 + t * (z0 - z1)))[:, None]


def _area_beyond(p: Tensor, q: Tensor) -> Tensor:
    """Area of the unit square around 0 whose lines to 0 cross the piece from p to q.

    All four sides are half a unit away, so a sector has the area ½ · ½ · (length of its border); less the triangle.
    """
    border = (_around(q) - _around(p)).abs()
    border = torch.minimum(border, 4 - border)
    return (0.25 * border - 0.5 * _cross(p, q).abs()).clamp_min(0)


def _around(p: Tensor) -> Tensor:
    """Where the line from 0 through p leaves the unit square, as the distance along its border, in [−½, 3½]."""
    x, y = p.unbind(-1)
    wide = x.abs() >= y.abs()
    ratio = torch.where(wide, y, -x) / torch.where(wide, x, y).where((x != 0) | (y != 0), torch.ones_like(x))
    corner = torch.where(wide, torch.where(x > 0, 0.0, 2.0), torch.where(y > 0, 1.0, 3.0)).to(p)
    return corner + 0.5 * ratio
