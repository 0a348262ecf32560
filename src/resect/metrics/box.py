"""Intersection over union of boxes in space, exact: axis-aligned by their corners, oriented by clipping their faces."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.geometry.se3 import SE3

_COPLANAR = 1e-9  # relative: planes nearer than this are one plane
_ROUND = ((-1.0, 1.0, 1.0, -1.0), (-1.0, -1.0, 1.0, 1.0))  # corners of a face, one after the other


def aligned_iou(a: Float[Tensor, "*b 2 3"], b: Float[Tensor, "*b 2 3"]) -> Float[Tensor, "*b"]:
    """Of axis-aligned boxes given by their corners (least, greatest); 0 where both are empty."""
    low, high = torch.maximum(a[..., 0, :], b[..., 0, :]), torch.minimum(a[..., 1, :], b[..., 1, :])
    shared = (high - low).clamp_min(0).prod(-1)
    volumes = [(x[..., 1, :] - x[..., 0, :]).clamp_min(0).prod(-1) for x in (a, b)]
    return _ratio(shared, volumes[0] + volumes[1] - shared)


def oriented_iou(
    a: SE3, a_size: Float[Tensor, "n 3"], b: SE3, b_size: Float[Tensor, "n 3"], *, max_pairs: int = 4096
) -> Float[Tensor, "n"]:
    """Of N pairs of oriented boxes, float64.

    Args:
        a: `world_from_box`, the origin at the box's centre.
        a_size: edge lengths along the box's axes; ≥ 0.
        b: of the other boxes.
        b_size: of the other boxes.
        max_pairs: how many pairs are clipped at once.
    """
    sizes = a_size.double(), b_size.double()
    poses = a.double(), b.double()
    parts = [
        _shared_volume(poses[0][k], sizes[0][k], poses[1][k], sizes[1][k])
        for k in torch.arange(len(a_size), device=a_size.device).split(max_pairs)
    ]
    shared = torch.cat(parts) if parts else sizes[0].new_zeros(0)
    return _ratio(shared, sizes[0].prod(-1) + sizes[1].prod(-1) - shared)


def _ratio(shared: Tensor, union: Tensor) -> Tensor:
    return torch.where(union > 0, shared / torch.where(union > 0, union, 1.0), 0.0)


def _shared_volume(a: SE3, a_size: Tensor, b: SE3, b_size: Tensor) -> Float[Tensor, "n"]:
    """Volume of the intersection, by the divergence theorem: a third of Σ (distance of a face) × (its area).

    Each face of the intersection is a face of one box cut by the planes of the other. All is done in the frame of box
    `a`, in units of the larger box. Of two faces in one plane that look the same way only a's is kept, and it is not
    cut by that plane; two that look opposite ways leave nothing between them.
    """
    unit = torch.maximum(a_size, b_size).amax(-1).clamp_min(1e-300)
    relative = a.inverse() @ b
    relative = SE3(relative.R, relative.t / unit[:, None])
    centred = SE3.identity(len(unit), dtype=torch.float64, device=unit.device)
    faces_a, normal_a, offset_a = _faces(centred, a_size / unit[:, None])
    faces_b, normal_b, offset_b = _faces(relative, b_size / unit[:, None])

    def coplanar(sign: int) -> Tensor:
        turned = (normal_a[:, :, None] - sign * normal_b[:, None]).norm(dim=-1)
        return (turned < _COPLANAR) & ((offset_a[:, :, None] - sign * offset_b[:, None]).abs() < _COPLANAR)

    same = coplanar(1)
    area_a = _area(_cut(faces_a, normal_b, offset_b, skip=same))
    area_b = _area(_cut(faces_b, normal_a, offset_a, skip=torch.zeros_like(same))).where(~same.any(1), 0.0)
    volume = ((area_a * offset_a).sum(-1) + (area_b * offset_b).sum(-1)) / 3
    return volume.clamp_min(0).where(~coplanar(-1).any(2).any(1), 0.0) * unit**3


def _faces(
    pose: SE3, size: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n 6 4 3"], Float[Tensor, "n 6 3"], Float[Tensor, "n 6"]]:
    """Corners of the six faces of each box, their outward unit normals, and the planes' distances from the origin."""
    corners, normals = torch.zeros(6, 4, 3, dtype=torch.float64), torch.zeros(6, 3, dtype=torch.float64)
    for face in range(6):
        axis, side = face % 3, 1 - 2 * (face // 3)
        normals[face, axis] = corners[face, :, axis] = side
        corners[face, :, (axis + 1) % 3] = torch.tensor(_ROUND[0], dtype=torch.float64)
        corners[face, :, (axis + 2) % 3] = torch.tensor(_ROUND[1], dtype=torch.float64)
    half = 0.5 * size[:, None, None] * corners.to(size)
    moved = pose.apply(half.flatten(1, 2)).unflatten(1, (6, 4))
    normal = normals.to(size) @ pose.R.mT
    offset = (normal * pose.t[:, None]).sum(-1) + 0.5 * size[:, [0, 1, 2, 0, 1, 2]]
    return moved, normal, offset


def _cut(
    polygons: Float[Tensor, "n 6 4 3"],
    normal: Float[Tensor, "n 6 3"],
    offset: Float[Tensor, "n 6"],
    skip: Bool[Tensor, "n 6 6"],
) -> Float[Tensor, "n 6 v 3"]:
    """What is left of each polygon behind all six planes (Sutherland and Hodgman, 1974); ends repeat the first corner.

    `skip`: (box, polygon, plane) that are not cut.
    """
    for k in range(6):
        height = torch.einsum("nfvc,nc->nfv", polygons, normal[:, k]) - offset[:, k, None, None]
        height = torch.where(skip[:, :, k, None], -1.0, height)
        after, next_height = polygons.roll(-1, 2), height.roll(-1, 2)
        inside = height <= 0
        crosses = inside != (next_height <= 0)
        share = height / torch.where(crosses, height - next_height, 1.0)
        crossing = polygons + share[..., None] * (after - polygons)
        points = torch.stack([polygons, crossing], 3).flatten(2, 3)
        valid = torch.stack([inside, crosses], 3).flatten(2, 3)
        order = (~valid).byte().argsort(dim=2, stable=True)[..., : polygons.shape[2] + 1]
        points = points.gather(2, order[..., None].expand(*order.shape, 3))
        polygons = torch.where(valid.gather(2, order)[..., None], points, points[:, :, :1])
    return polygons


def _area(polygons: Float[Tensor, "n 6 v 3"]) -> Float[Tensor, "n 6"]:
    spokes = polygons - polygons[:, :, :1]
    return 0.5 * torch.linalg.cross(spokes[:, :, :-1], spokes[:, :, 1:]).sum(2).norm(dim=-1)
