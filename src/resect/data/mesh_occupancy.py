"""Whether points are inside a mesh, watertight or not, without external programs.

Along a line through a point, the faces on either side of it are found exactly. In a closed mesh whose faces agree in
orientation, their signed number is the winding number: not zero inside, for overlapping parts too. In any other mesh
(CAD models are soups of sheets, double or turned) a point is outside when nothing lies on one side of it on one of
many lines: it can be seen from without. So hollow parts that cannot be seen count as inside, and sheets without volume
have none unless they are given a thickness.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.look_at import view_sphere
from resect.geometry.mesh import Mesh, sample_surface
from resect.geometry.mesh_edit import merge_vertices

LINES = 64
_VOTES = 3  # lines for a closed mesh: one could run through an edge
_SAMPLES = 200_000  # of the surface, for the thickness of sheets
_MOST_FACES = 5_000_000
_MOST_CELLS = 128


def inside_mesh(
    points: Float[Tensor, "n 3"], mesh: Mesh, *, lines: int = LINES, thickness: float = 0.0, most: int = 1 << 21
) -> Bool[Tensor, "n"]:
    """Whether each point is inside.

    Args:
        points: in the mesh's frame.
        mesh: any triangles.
        lines: through each point, for a mesh that is not closed.
        thickness: of sheets, in units of the mesh; only for a mesh that is not closed.
        most: pairs of points and faces that are looked at at once.
    """
    if len(mesh.faces) == 0 or len(mesh.faces) > _MOST_FACES or not bool(mesh.vertices.isfinite().all()):
        raise ResectError("mesh", f"1 to {_MOST_FACES} faces, finite vertices", f"{len(mesh.faces)} faces")
    triangles = mesh.triangles.detach().double().cpu()
    where = points.detach().double().cpu()
    if is_closed(mesh):
        votes = torch.zeros(len(points), dtype=torch.long)
        for turn in _directions(_VOTES):
            above, _, _ = _crossings(where, triangles, turn, most)
            votes += above != 0
        return (2 * votes > _VOTES).to(points.device)
    hidden = torch.arange(len(points))
    for turn in _directions(lines):
        _, over, under = _crossings(where[hidden], triangles, turn, most)
        hidden = hidden[(over > 0) & (under > 0)]
    inside = torch.zeros(len(points), dtype=torch.bool)
    inside[hidden] = True
    if thickness > 0:
        inside |= _near_surface(where, mesh, thickness / 2)
    return inside.to(points.device)


def is_closed(mesh: Mesh) -> bool:
    """Whether every side of a face is met by one of another face that runs the other way: no holes, no turned faces.

    Sheets that are drawn twice, once for each side, enclose nothing and are not closed.
    """
    faces = merge_vertices(mesh).faces.cpu().numpy().astype(np.int64)
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    if len(np.unique(np.sort(faces, 1), axis=0)) < len(faces):
        return False
    start, end = faces.ravel(), np.roll(faces, -1, 1).ravel()
    count = int(faces.max()) + 1 if len(faces) else 0
    there, back = np.sort(start * count + end), np.sort(end * count + start)
    return len(faces) > 0 and bool((there == back).all())


def _directions(count: int) -> Float[Tensor, "d 3 3"]:
    """Rotations that bring lines, evenly spread over the half sphere, upright; none is along an axis."""
    return view_sphere(2 * count, 1.0, dtype=torch.float64).R[:count]


def _crossings(
    points: Float[Tensor, "n 3"], triangles: Float[Tensor, "f 3 3"], turn: Float[Tensor, "3 3"], most: int
) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"], Int[Tensor, "n"]]:
    """Signed number of faces above each point along the turned z axis, and their number above and below."""
    p, t = points @ turn.mT, triangles @ turn.mT
    low, high = t[..., :2].amin((0, 1)), t[..., :2].amax((0, 1))
    cells = max(1, min(_MOST_CELLS, int(len(t) ** 0.5)))
    pitch = ((high - low) / cells).clamp_min(1e-12)
    cell_of_pair, face_of_pair = _cells_of_faces(t, low, pitch, cells)
    first = torch.searchsorted(cell_of_pair, torch.arange(cells * cells + 1))
    within = ((p[:, :2] >= low) & (p[:, :2] <= high)).all(-1).nonzero()[:, 0]
    at = ((p[within, :2] - low) / pitch).long().clamp(0, cells - 1)
    at = at[:, 1] * cells + at[:, 0]
    count = first[at + 1] - first[at]
    found = torch.zeros(3, len(points), dtype=torch.long)
    ends = count.cumsum(0)
    begin = 0
    while begin < len(within):
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(torch.searchsorted(ends, before + most, right=True)))
        rows = torch.arange(begin, end).repeat_interleave(count[begin:end])
        offset = torch.arange(len(rows)) - (ends[rows] - count[rows] - before)
        face = face_of_pair[first[at[rows]] + offset]
        sign, over, under = _hit(p[within[rows]], t[face])
        for k, value in enumerate((sign * over, over, under)):
            found[k].index_add_(0, within[rows], value.long())
        begin = end
    return found[0], found[1], found[2]


def _cells_of_faces(t: Tensor, low: Tensor, pitch: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """Pairs (cell, face) for every cell that a face's rectangle touches, sorted by cell."""
    first = ((t[..., :2].amin(1) - low) / pitch).long().clamp(0, cells - 1)
    last = ((t[..., :2].amax(1) - low) / pitch).long().clamp(0, cells - 1)
    width = last - first + 1
    count = width.prod(-1)
    face = torch.arange(len(t)).repeat_interleave(count)
    offset = torch.arange(len(face)) - (count.cumsum(0) - count).repeat_interleave(count)
    x = first[face, 0] + offset % width[face, 0]
    y = first[face, 1] + offset // width[face, 0]
    cell, order = (y * cells + x).sort()
    return cell, face[order]


def _hit(p: Float[Tensor, "k 3"], t: Float[Tensor, "k 3 3"]) -> tuple[Tensor, Tensor, Tensor]:
    """Sign of each face as seen from above, and whether its point over or under p is in it."""
    a, b, c = t.unbind(1)

    def area(u: Tensor, v: Tensor, w: Tensor) -> Tensor:
        return (v[:, 0] - u[:, 0]) * (w[:, 1] - u[:, 1]) - (v[:, 1] - u[:, 1]) * (w[:, 0] - u[:, 0])

    wa, wb, wc, total = area(b, c, p), area(c, a, p), area(a, b, p), area(a, b, c)
    sign = total.sign()
    hit = (total != 0) & (wa * sign >= 0) & (wb * sign >= 0) & (wc * sign >= 0)
    z = (wa * a[:, 2] + wb * b[:, 2] + wc * c[:, 2]) / torch.where(total == 0, 1.0, total)
    return sign.long(), hit & (z > p[:, 2]), hit & (z <= p[:, 2])


def _near_surface(points: Float[Tensor, "n 3"], mesh: Mesh, distance: float) -> Bool[Tensor, "n"]:
    """Whether points lie within a distance of many samples of the surface."""
    from scipy.spatial import cKDTree

    samples, _, _ = sample_surface(mesh.to("cpu").to(torch.float64), _SAMPLES, torch.Generator().manual_seed(0))
    found, _ = cKDTree(samples.numpy()).query(points.numpy(), distance_upper_bound=distance)
    return torch.from_numpy(np.isfinite(found))
