"""Pairs of photos that see much of the same: by depth, each photo's pixels found again in the other one.

The published rule takes three kinds of pairs, by the share of each photo that the other one sees and the angle between
them: both above 0.4 and less than 30° apart; both above 0.3 and more than 60°; both between 0.05 and 0.25. (The
released script read colour images as depth.) Poses of a pair are told as published: t of the world, R = Rᵀ_a R_b of
world_from_cam, so that the way back is (−t, Rᵀ).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from resect.artifact import write_atomic
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import PhotoSet

_SIDE = 48  # pixels of the longer side at which overlap is measured
_AGREE = 0.1  # part of the depth within which two depths are of one surface

DepthOf = Callable[[int, Camera], Float[Tensor, "h w"]]
"""Depth of photo number i as a camera of a smaller size sees it; 0 where unknown."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of photos.

    Attributes:
        a: number of the first photo.
        b: number of the second.
        overlap: shares of a that b sees, and of b that a sees.
        angle_deg: between their rotations.
    """

    a: Int[Tensor, "n"]
    b: Int[Tensor, "n"]
    overlap: Float[Tensor, "n 2"]
    angle_deg: Float[Tensor, "n"]


def find_pairs(photos: PhotoSet, depth_of: DepthOf, neighbours: int = 20, rows: Sequence[int] | None = None) -> Pairs:
    """Pairs by the published rule, among each photo's nearest ones.

    Args:
        photos: with poses.
        depth_of: measured, or rendered by a scene.
        neighbours: photos that each is compared with.
        rows: photos to pair, all by default.
    """
    chosen = list(range(len(photos)) if rows is None else rows)
    cameras = [photos.cameras[i].fit_within(_SIDE) for i in chosen]
    depths = [depth_of(i, camera) for i, camera in zip(chosen, cameras, strict=True)]
    poses = photos.truth.cam_from_world.double()[chosen]
    near = _nearest(poses, neighbours)
    first = torch.arange(len(chosen))[:, None].expand_as(near)
    pairs = torch.unique(torch.stack([torch.minimum(first, near), torch.maximum(first, near)], -1).flatten(0, 1), dim=0)
    shares = [
        (
            overlap(depths[i], cameras[i], poses[i], depths[j], cameras[j], poses[j]),
            overlap(depths[j], cameras[j], poses[j], depths[i], cameras[i], poses[i]),
        )
        for i, j in pairs.tolist()
    ]
    both = torch.tensor(shares, dtype=torch.float64).view(-1, 2)
    angle = torch.rad2deg(so3.angle(poses.R[pairs[:, 0]], poses.R[pairs[:, 1]]))
    keep = wanted(both, angle)
    index = torch.tensor(chosen)
    return Pairs(index[pairs[keep, 0]], index[pairs[keep, 1]], both[keep], angle[keep])


def overlap(
    depth: Float[Tensor, "h w"], camera: Camera, pose: SE3, other: Float[Tensor, "i j"], its: Camera, its_pose: SE3
) -> float:
    """Share of one photo's known depth whose points another photo sees, neither outside its picture nor hidden."""
    rays = camera.rays(camera.pixels().double())
    known = depth.flatten() > 0
    points = rays / rays[:, 2:] * depth.flatten()[:, None].double()
    moved = (its_pose @ pose.inverse()).apply(points)
    pixels, seen = its.project(moved)
    column, row = (pixels[:, k].long().clamp(0, n - 1) for k, n in ((0, its.width), (1, its.height)))
    there = other[row, column].double()
    agree = (there > 0) & ((moved[:, 2] - there).abs() < _AGREE * there)
    return float((known & seen & agree).double().sum() / known.double().sum().clamp_min(1))


def wanted(overlap: Float[Tensor, "n 2"], angle_deg: Float[Tensor, "n"]) -> Bool[Tensor, "n"]:
    """The published rule."""
    least, most = overlap.amin(1), overlap.amax(1)
    near = (least > 0.4) & (angle_deg < 30)
    turned = (least > 0.3) & (angle_deg > 60)
    little = (least > 0.05) & (most < 0.25)
    return near | turned | little


def write_pairs(photos: PhotoSet, pairs: Pairs, scene: str, path: Path) -> None:
    """Writes names, positions, quaternions (world_from_cam) and the relative pose of each pair, a row each."""
    world = photos.truth.cam_from_world.double().inverse()
    q = so3.to_quaternion(world.R)
    head = [
        f"{key}_{which}" for which in "ab" for key in ("img_path", "scene", "x1", "x2", "x3", "q1", "q2", "q3", "q4")
    ]
    head += [f"{key}_ab" for key in ("x1", "x2", "x3", "q1", "q2", "q3", "q4")] + ["overlap_a", "overlap_b"]
    lines = [",".join(head)]
    for k in range(len(pairs.a)):
        i, j = int(pairs.a[k]), int(pairs.b[k])
        between = so3.to_quaternion(world.R[i].mT @ world.R[j])
        numbers = [
            *world.t[i].tolist(), *q[i].tolist(), *world.t[j].tolist(), *q[j].tolist(),
            *(world.t[j] - world.t[i]).tolist(), *between.tolist(), *pairs.overlap[k].tolist(),
        ]  # fmt: skip
        text = [repr(round(x, 9)) for x in numbers]
        cells = [photos.names[i], scene, *text[:7], photos.names[j], scene, *text[7:]]
        lines.append(",".join(cells))
    write_atomic(path, ("\n".join(lines) + "\n").encode())


def _nearest(poses: SE3, count: int) -> Int[Tensor, "n k"]:
    n = len(poses)
    shift = torch.cdist(poses.center, poses.center)
    turn = so3.angle(poses.R[:, None].expand(n, n, 3, 3), poses.R[None].expand(n, n, 3, 3))
    far = shift / shift.max().clamp_min(1e-12) + turn
    return far.fill_diagonal_(torch.inf).argsort(1)[:, : min(count, n - 1)]
