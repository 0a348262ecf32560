"""Errors of a trajectory whose poses are already paired with the truth: absolute (ATE) and relative (RPE).

Reference: Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012, §VI.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.align import umeyama
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.geometry.trajectory import nearest

Alignment = Literal["none", "se3", "sim3"]
DeltaUnit = Literal["s", "m", "rad", "deg", "f"]
_LEAST = {"none": 1, "se3": 3, "sim3": 3}


@dataclass(frozen=True)
class Statistics:
    """What a set of errors amounts to; the standard deviation is that of the errors themselves (divided by n)."""

    rmse: float
    mean: float
    median: float
    std: float
    min: float
    max: float
    count: int

    @classmethod
    def of(cls, errors: Float[Tensor, "n"]) -> "Statistics":
        """Of at least one error; of an even number the median is the mean of the two in the middle."""
        e = errors.double()
        middle = torch.quantile(e, 0.5) if len(e) < 1 << 24 else e.median()
        values = (e.square().mean().sqrt(), e.mean(), middle, e.std(correction=0), e.min(), e.max())
        rmse, mean, median, std, least, most = (float(v) for v in values)
        return cls(rmse, mean, median, std, least, most, len(e))


def alignment(estimate: Float[Tensor, "n 3"], truth: Float[Tensor, "n 3"], how: Alignment) -> Sim3:
    """The motion `truth_from_estimate` with the least squared distances between paired positions.

    Args:
        estimate: positions.
        truth: positions.
        how: "none" moves nothing; "se3" turns and shifts; "sim3" scales too, for a camera that knows no metres.
    """
    if how == "none":
        return Sim3.identity(estimate.dtype)
    if len(estimate) < _LEAST[how]:
        fix = "Use --align none, or pair more with --max-difference or --offset."
        raise ResectError("alignment", f"at least {_LEAST[how]} pairs for --align {how}", str(len(estimate)), fix)
    if how == "sim3" and float((estimate - estimate.mean(0)).norm(dim=-1).max()) == 0:
        raise ResectError("alignment", "an estimate that moves, for --align sim3", "one place", "Use --align se3.")
    return umeyama(estimate, truth, with_scale=how == "sim3")


def absolute_errors(estimate: SE3, truth: SE3) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Distance of the centres (world units) and angle between the axes (degrees) of paired `world_from_cam`."""
    return (estimate.t - truth.t).norm(dim=-1), torch.rad2deg(so3.angle(estimate.R, truth.R))


def relative_errors(
    estimate: SE3, truth: SE3, first: Int[Tensor, "k"], second: Int[Tensor, "k"]
) -> tuple[Float[Tensor, "k"], Float[Tensor, "k"]]:
    """Errors of the motion from pose `first` to pose `second`, of paired `world_from_cam`: world units and degrees.

    E = (Q₁⁻¹ Q₂)⁻¹ (P₁⁻¹ P₂) with the truth Q and the estimate P; its length and its angle.
    """
    error = (truth[first].inverse() @ truth[second]).inverse() @ (estimate[first].inverse() @ estimate[second])
    eye = torch.eye(3, dtype=error.R.dtype, device=error.R.device).expand_as(error.R)
    return error.t.norm(dim=-1), torch.rad2deg(so3.angle(eye, error.R))


def travelled(seconds: Float[Tensor, "n"], world_from_cam: SE3, unit: DeltaUnit) -> Float[Tensor, "n"]:
    """How far along its way each pose is: in time, path length, angle turned, or frames."""
    if unit == "s":
        return seconds
    if unit == "f":
        return torch.arange(len(seconds), dtype=seconds.dtype, device=seconds.device)
    if unit == "m":
        steps = world_from_cam.t.diff(dim=0).norm(dim=-1)
    else:
        steps = so3.angle(world_from_cam.R[:-1], world_from_cam.R[1:])
        steps = torch.rad2deg(steps) if unit == "deg" else steps
    return torch.cat([steps.new_zeros(1), steps.cumsum(0)])


def pairs_apart(
    way: Float[Tensor, "n"],
    delta: float,
    *,
    tolerance: float | None = None,
    max_pairs: int = 0,
    generator: torch.Generator | None = None,
) -> tuple[Int[Tensor, "k"], Int[Tensor, "k"]]:
    """From every pose, the pose that is nearest to `delta` further along the way.

    As `evaluate_rpe.py --fixed_delta` does, but that a pair may end at the last pose; with a tolerance, as evo's
    `--all_pairs` does for frames and metres.

    Args:
        way: see `travelled`.
        delta: > 0.
        tolerance: share of `delta` by which a pair may be longer or shorter; `None` takes any that the way is long
            enough for.
        max_pairs: of more pairs, so many are drawn; 0 keeps all.
        generator: for drawing.
    """
    if not delta > 0 or not math.isfinite(delta):
        raise ResectError("--delta", "more than 0", f"{delta:g}")
    goal = way + delta
    slack = 1e-9 * max(1.0, float(way.abs().max()))
    second = nearest(goal, way)
    first = torch.arange(len(way), device=way.device)
    off = (goal - way[-1]) if tolerance is None else (way[second] - goal).abs() - tolerance * delta
    keep = (off <= slack) & (second > first)
    first, second = first[keep], second[keep]
    if 0 < max_pairs < len(first):
        some = torch.randperm(len(first), generator=generator)[:max_pairs].sort().values
        first, second = first[some], second[some]
    return first, second


def all_pairs(
    count: int, max_pairs: int, generator: torch.Generator | None = None
) -> tuple[Int[Tensor, "k"], Int[Tensor, "k"]]:
    """Each two of `count` poses, the earlier one first; of more than `max_pairs` > 0, so many are drawn.

    `evaluate_rpe.py` without `--fixed_delta` also pairs each pose with itself, and each two both ways.
    """
    total = count * (count - 1) // 2
    if total <= max_pairs or max_pairs == 0:
        first, second = torch.triu_indices(count, count, 1)
        return first, second
    one = torch.randint(count, (max_pairs,), generator=generator)
    other = (one + 1 + torch.randint(count - 1, (max_pairs,), generator=generator)) % count
    return torch.minimum(one, other), torch.maximum(one, other)
