"""Which face is nearest at each sample: a z-buffer over fragments, exact on both sides of every triangle.

Everything happens in homogeneous image coordinates p = K X (Olano and Greer, "Triangle scan conversion using 2D
homogeneous coordinates", 1997): for the ray r = (x, y, 1), with e = (pb × pc, pc × pa, pa × pb) · r,

    inside ⇔ the three e have the sign of det(pa, pb, pc),
    1/z = (e0 + e1 + e2) / det,   barycentric coordinates = e / (e0 + e1 + e2),

so that triangles which cross the camera's plane need no clipping and barycentric coordinates are perspective-correct.
A shared edge is computed from both faces with the same numbers but for the sign, which leaves no cracks. Float64, as
the products cancel. At equal depth the lowest face wins. `kernel.py` is the same for one core without tensors.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.scenes.mesh.samples import Samples, expand, parts_of
from resect.scenes.mesh.threads import fuses, in_threads


@dataclass(frozen=True, eq=False)
class Hits:
    """What the rays through samples meet first; pose after pose where the poses share the samples.

    Attributes:
        face: −1 where there is none.
        inverse_depth: 1 / z, along the optical axis; 0 where there is none.
        weight: barycentric coordinates of the point.
    """

    face: Int[Tensor, "n"]
    inverse_depth: Float[Tensor, "n"]
    weight: Float[Tensor, "n 3"]


@dataclass(frozen=True)
class Depths:
    """Which depths along the optical axis are seen: from `near` to `far`."""

    near: float = 0.0
    far: float = float("inf")

    @property
    def inverse(self) -> tuple[float, float]:
        """1/z of the nearest and of the farthest."""
        return (1 / self.near if self.near > 0 else float("inf")), 1 / self.far


def rasterize(
    points: Float[Tensor, "h v 3"],
    faces: Int[Tensor, "f 3"],
    samples: Samples,
    *,
    cull: Bool[Tensor, "h"],
    depths: Depths = Depths(),
    max_fragments: int = 1 << 19,
    fused: bool | None = None,
    dtype: torch.dtype = torch.float64,
) -> Hits:
    """The nearest face at each sample, in the order of the list that the samples were made from.

    Args:
        points: vertices in homogeneous image coordinates, float64.
        cull: of each pose, whether faces seen from behind (det > 0) are left out.
        max_fragments: most pairs of a face and a sample worked on at a time; bounds the memory.
        fused: numba (CPU) or PyTorch; numba where it can by default.
        dtype: of the barycentric coordinates.
    """
    find = _by_kernel if fuses(fused, points.device) else _by_fragments
    face, inverse_depth, weight = find(points, faces, samples, cull, depths, max_fragments, dtype)
    h = len(points)
    return Hits(samples.unsorted(face, h), samples.unsorted(inverse_depth, h), samples.unsorted(weight, h))


def facing(points: Float[Tensor, "h v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "h f"]:
    """det(pa, pb, pc) of each face: negative where it is seen from the side on which it runs counter-clockwise."""
    a, b, c = (points[:, faces[:, k]] for k in range(3))
    return (a * torch.linalg.cross(b, c)).sum(-1)


def nearest_boxed(points: Float[Tensor, "h v 3"], depths: Depths) -> float:
    """z from which on a triangle is boxed: `near`, or next to nothing."""
    return max(depths.near, 1e-9 * float(points[..., 2].abs().nan_to_num(0.0, 0.0, 0.0).amax()), 1e-30)


def _slots(samples: Samples, poses: int) -> int:
    return len(samples.points) * (poses if samples.shared else 1)


def _by_fragments(
    points: Tensor,
    faces: Tensor,
    samples: Samples,
    cull: Tensor,
    depths: Depths,
    max_fragments: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    many, slots = len(faces), _slots(samples, len(points))
    pose, face, low, high = _boxes(points, faces, cull, nearest_boxed(points, depths))
    box, first, count = samples.near(pose, low, high)
    used = torch.zeros(len(pose), dtype=torch.bool, device=pose.device)
    used[box] = True
    box = (used.cumsum(0) - 1)[box]
    pose, face = pose[used], face[used]
    planes, inverse = _planes(points[pose[:, None], faces[face]])
    best = torch.zeros(slots, dtype=torch.float64, device=points.device)
    winner = torch.full((slots,), many, device=points.device)
    source = torch.full((slots,), -1, device=points.device)
    greatest, least = depths.inverse
    shift = pose * len(samples.points) if samples.shared else torch.zeros_like(pose)
    for part in parts_of(count, max_fragments):
        run, step = expand(count[part])
        place, which = first[part][run] + step, box[part][run]
        x, y = samples.points.index_select(0, place).T
        e0, e1, e2 = (
            by_x.index_select(0, which) * x + by_y.index_select(0, which) * y + by_1.index_select(0, which)
            for by_x, by_y, by_1 in planes
        )
        w = (e0 + e1 + e2) * inverse.index_select(0, which)
        seen = torch.minimum(torch.minimum(e0, e1), e2) >= 0
        seen = (seen & (w > 0) & (w <= greatest) & (w >= least)).nonzero()[:, 0]
        w, which = w[seen], which[seen]
        slot = place[seen] + shift[which]
        before = best[slot]
        best.scatter_reduce_(0, slot, w, "amax")
        winner[slot[best[slot] > before]] = many
        wins = w == best[slot]
        slot, which = slot[wins], which[wins]
        winner.scatter_reduce_(0, slot, face[which], "amin")
        mine = winner[slot] == face[which]
        source[slot[mine]] = which[mine]
    face, inverse_depth, weight = _filled(source, winner, best, planes, samples)
    return face, inverse_depth, weight.to(dtype)


def _filled(
    source: Tensor, winner: Tensor, best: Tensor, planes: Tensor, samples: Samples
) -> tuple[Tensor, Tensor, Tensor]:
    """Barycentric coordinates of the winners."""
    hit = (source >= 0).nonzero()[:, 0]
    place = hit % len(samples.points) if samples.shared else hit
    x, y = samples.points.index_select(0, place).T
    edge = planes.index_select(2, source[hit])
    e = edge[:, 0] * x + edge[:, 1] * y + edge[:, 2]
    weight = torch.zeros(len(source), 3, dtype=torch.float64, device=best.device)
    weight[hit] = (e / (e[0] + e[1] + e[2])).T
    return torch.where(source >= 0, winner, -1), best, weight


def _planes(corners: Tensor) -> tuple[Tensor, Tensor]:
    """Edge functions, positive inside, [edge, coefficient, n], and 1 / |det|, of triangles (n, 3, 3)."""
    a, b, c = corners.permute(1, 2, 0).contiguous()
    planes = torch.stack([torch.linalg.cross(p, q, dim=0) for p, q in ((b, c), (c, a), (a, b))])
    det = (a * planes[0]).sum(0)
    return planes * det.sign(), 1 / det.abs()


def _boxes(points: Tensor, faces: Tensor, cull: Tensor, near: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pose, face and box (low, high) in the image of the faces that may be seen."""
    det = facing(points, faces)
    z = points[:, faces, 2]
    ahead = (z > near).sum(-1)
    pose, face = ((det != 0) & ~(cull[:, None] & (det > 0)) & (ahead > 0)).nonzero().unbind(1)
    corners = points[pose[:, None], faces[face]]
    projected = corners[..., :2] / corners[..., 2:]
    low, high = projected.amin(1), projected.amax(1)
    crossing = (ahead[pose, face] < 3).nonzero()[:, 0]
    if len(crossing):
        low[crossing], high[crossing] = _clipped_boxes(corners[crossing], near)
    return pose, face, low, high


def _clipped_boxes(corners: Tensor, near: float) -> tuple[Tensor, Tensor]:
    """Boxes around the projections of the parts of triangles that lie beyond z = near."""
    after = corners.roll(-1, 1)
    here, there = corners[..., 2] > near, after[..., 2] > near
    t = (near - corners[..., 2:]) / (after[..., 2:] - corners[..., 2:])
    cut = (corners + t * (after - corners))[..., :2] / near
    xy = torch.cat([corners[..., :2] / corners[..., 2:], cut], 1)
    counts = torch.cat([here, here != there], 1)[..., None]
    inf = float("inf")
    return torch.where(counts, xy, inf).amin(1), torch.where(counts, xy, -inf).amax(1)


def _by_kernel(
    points: Tensor,
    faces: Tensor,
    samples: Samples,
    cull: Tensor,
    depths: Depths,
    max_fragments: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    from resect.scenes.mesh.kernel import rasterize_pose

    del max_fragments  # the kernel keeps none
    slots = _slots(samples, len(points))
    face, depth = torch.empty(slots, dtype=torch.int32), torch.empty(slots, dtype=torch.float64)
    weight = torch.empty(slots, 3, dtype=dtype)
    p, f, xy, start = (x.contiguous().numpy() for x in (points, faces, samples.points, samples.start))
    out = face.numpy(), depth.numpy(), weight.numpy()
    near, (greatest, least) = nearest_boxed(points, depths), depths.inverse
    culled, s = cull.tolist(), len(samples.points)
    grid = samples.columns, samples.rows, samples.origin, samples.scale, samples.slack

    def work(h: int) -> None:
        mine = slice(h * s, (h + 1) * s) if samples.shared else slice(None)
        begin = start[0 if samples.shared else h]
        rasterize_pose(p[h], f, culled[h], near, greatest, least, xy, begin, *grid, *(x[mine] for x in out))

    in_threads(work, len(points))
    return face, depth, weight
