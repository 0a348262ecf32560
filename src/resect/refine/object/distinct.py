"""Which poses of an object are one, by how far they move what is seen of it; and which look alike by symmetry."""

import math

import torch
from jaxtyping import Bool
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Symmetries
from resect.refine.halving import Candidates
from resect.refine.object.sight import Work


def alike(work: Work, poses: SE3, turn_deg: float, shift: float) -> Bool[Tensor, "h h"]:
    """Pairs turned less than `turn_deg` about the object's middle, and shifted less than a part of its radius.

    A shift along the optical axis counts as far as it moves the outline: Δz / z of the radius.
    """
    turn = so3.angle(poses.R[:, None].expand(-1, len(poses), 3, 3), poses.R[None].expand(len(poses), -1, 3, 3))
    middle = work.centers(poses)
    gap = middle[:, None] - middle[None]
    depth = gap[..., 2] / middle[:, 2].clamp_min(1e-9)
    moved = (gap[..., :2].square().sum(-1) / work.radius**2 + depth.square()).sqrt()
    return (turn < math.radians(turn_deg)) & (moved < shift)


def with_equivalents(
    work: Work, candidates: Candidates, symmetries: Symmetries, turn_deg: float
) -> tuple[Candidates, int]:
    """The best of the candidates that are one by the object's symmetries, each followed by all that looks like it
    (about an axis every 3 `turn_deg`), and how many that are.
    """
    if symmetries.trivial:
        return candidates, 1
    candidates = candidates.take(candidates.score.nan_to_num(-9.0).argsort(descending=True))
    first = symmetries.deduplicate(candidates.cam_from_world, math.radians(turn_deg), turn_deg / 60 * work.radius)
    candidates = candidates.take(first)
    motions = symmetries.sampled(1.5 * math.radians(turn_deg))
    poses, count = candidates.cam_from_world, len(motions)
    repeated = SE3(poses.R.repeat_interleave(count, 0), poses.t.repeat_interleave(count, 0))
    same = SE3(motions.R.repeat(len(poses), 1, 1), motions.t.repeat(len(poses), 1))
    found = repeated.double() @ same
    pose = SE3(found.R.to(poses.R), found.t.to(poses.t))
    score, parent = (each.repeat_interleave(count) for each in (candidates.score, candidates.parent))
    return Candidates(pose, score, parent), count


def distinct(work: Work, candidates: Candidates, keep: int, turn_deg: float, shift: float) -> Candidates:
    """The best `keep`, none of them like a better one."""
    order = candidates.score.nan_to_num(-9.0).argsort(descending=True)
    same = alike(work, candidates.cam_from_world[order], turn_deg, shift)
    chosen: list[int] = []
    taken = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    for k in range(len(order)):
        if len(chosen) == keep:
            break
        if not bool(taken[k]):
            chosen.append(k)
            taken |= same[k]
    return candidates.take(order[chosen])
