"""A trajectory judged against the true one: pairs by time, one alignment, absolute and relative errors."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.align import mean_rotation
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.geometry.trajectory import Trajectory, associate
from resect.metrics.trajectory import (
    Alignment,
    DeltaUnit,
    Statistics,
    absolute_errors,
    alignment,
    all_pairs,
    pairs_apart,
    relative_errors,
    travelled,
)


@dataclass(frozen=True)
class TrajectorySettings:
    """How trajectories are compared; the same options as the TUM RGB-D scripts and evo have."""

    align: Alignment = "se3"
    """none: as they are; se3: turned and shifted onto the truth; sim3: scaled too, for cameras that know no metres."""
    scale: float = 1.0
    """The estimate's lengths are multiplied by this first."""
    offset: float = 0.0
    """Seconds added to the estimate's time stamps."""
    max_difference: float = 0.02
    """Seconds; poses further apart in time are not compared."""
    delta: float = 1.0
    """Relative errors are of motions this long."""
    delta_unit: DeltaUnit = "f"
    """Unit of --delta: s seconds, m metres travelled, rad or deg turned, f frames; along the estimate's way."""
    delta_tolerance: float | None = None
    """Share of --delta by which a motion may be longer or shorter; by default the nearest pose is taken."""
    all_pairs: bool = False
    """Relative errors of every two poses, however far apart, instead of those --delta apart."""
    max_pairs: int = 10000
    """Of more pairs, so many are drawn by --seed; 0 keeps all."""


@dataclass(frozen=True, eq=False)
class TrajectoryScore:
    """What a trajectory's errors amount to. Positions are in the truth's units.

    Attributes:
        settings: how they were compared.
        aligned: the whole estimate, moved onto the truth.
        truth: all of it.
        rows: of the estimate, those that have a partner.
        partners: rows of the truth, one for each of `rows`.
        truth_from_estimate: scale, rotation, shift that `aligned` was moved by.
        position: error of each paired pose.
        rotation_deg: error of each paired pose.
        pairs: (first, second) of the relative errors, as indices into `rows`.
        relative: translation error of each pair.
        relative_deg: rotation error of each pair.
        notes: what a reader of the numbers should know.
    """

    settings: TrajectorySettings
    aligned: Trajectory
    truth: Trajectory
    rows: Int[Tensor, "n"]
    partners: Int[Tensor, "n"]
    truth_from_estimate: Sim3
    position: Float[Tensor, "n"]
    rotation_deg: Float[Tensor, "n"]
    pairs: tuple[Int[Tensor, "k"], Int[Tensor, "k"]]
    relative: Float[Tensor, "k"]
    relative_deg: Float[Tensor, "k"]
    notes: tuple[str, ...] = ()

    @property
    def ate(self) -> Statistics:
        """Of the absolute position errors."""
        return Statistics.of(self.position)

    def as_json(self) -> dict[str, Any]:
        """What `resect score --json` prints; relative errors are null where no two poses are --delta apart."""
        some = len(self.relative) > 0
        rpe = Statistics.of(self.relative) if some else None
        return {
            "ate_rmse": self.ate.rmse,
            "rpe_rmse": None if rpe is None else rpe.rmse,
            "rpe_rotation_rmse_deg": Statistics.of(self.relative_deg).rmse if some else None,
            "scale": float(self.truth_from_estimate.s) * self.settings.scale,
            "matched": len(self.rows),
            "poses": len(self.aligned),
            "truth_poses": len(self.truth),
            "align": self.settings.align,
            "ate": vars(self.ate),
            "ate_rotation_deg": vars(Statistics.of(self.rotation_deg)),
            "rpe": None if rpe is None else vars(rpe),
            "rpe_rotation_deg": vars(Statistics.of(self.relative_deg)) if some else None,
            "settings": vars(self.settings),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The score in a few lines."""
        s, scale = self.settings, float(self.truth_from_estimate.s) * self.settings.scale
        motions = "any two poses" if s.all_pairs else f"{s.delta:g} {s.delta_unit} apart"
        how = {"none": "not aligned", "se3": "aligned by turn and shift (SE3)", "sim3": "aligned with scale (Sim3)"}
        counts = f"{len(self.rows)} of {len(self.aligned)} poses, of {len(self.truth)} true ones"
        lines = [
            f"matched      {counts}; {how[s.align]}",
            f"scale        {scale:.4f}",
            _line("ATE", self.position, ""),
            _line("  rotation", self.rotation_deg, "°"),
        ]
        if len(self.relative):
            lines += [f"RPE          {len(self.relative)} motions, {motions}"]
            lines += [_line("  shift", self.relative, ""), _line("  rotation", self.relative_deg, "°")]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _line(name: str, errors: Tensor, unit: str) -> str:
    e = Statistics.of(errors)
    rest = f"mean {e.mean:.4f}, median {e.median:.4f}, std {e.std:.4f}, min {e.min:.4f}, max {e.max:.4f}"
    return f"{name:<12} rmse {e.rmse:.4f}{unit} ({rest})"


def score_trajectory(
    estimate: Trajectory,
    truth: Trajectory,
    settings: TrajectorySettings | None = None,
    generator: torch.Generator | None = None,
) -> TrajectoryScore:
    """Judges an estimate.

    Args:
        estimate: any trajectory.
        truth: the true one.
        settings: how to compare.
        generator: draws pairs where there are too many.

    Raises:
        ResectError: no pose has a partner, or the quaternions of the estimate are in another order.
    """
    s = settings or TrajectorySettings()
    _check(s)
    rows, partners = _partners(estimate, truth, s)
    scaled = replace(estimate, world_from_cam=SE3(estimate.world_from_cam.R, estimate.world_from_cam.t * s.scale))
    found, true = scaled.take(rows), truth.take(partners)
    onto = alignment(found.positions, true.positions, s.align)
    _refuse_swapped(found.world_from_cam.R, onto.R, true.world_from_cam.R)
    aligned = scaled.moved(onto)
    poses = aligned.world_from_cam[rows]
    position, rotation_deg = absolute_errors(poses, true.world_from_cam)
    if s.all_pairs:
        pairs = all_pairs(len(rows), s.max_pairs, generator)
    else:
        way = travelled(found.seconds, poses, s.delta_unit)
        pairs = pairs_apart(way, s.delta, tolerance=s.delta_tolerance, max_pairs=s.max_pairs, generator=generator)
    relative, relative_deg = relative_errors(poses, true.world_from_cam, *pairs)
    notes = (*estimate.notes, *truth.notes, *_remarks(rows, estimate, pairs[0], s))
    return TrajectoryScore(
        s, aligned, truth, rows, partners, onto, position, rotation_deg, pairs, relative, relative_deg, notes
    )


def _check(s: TrajectorySettings) -> None:
    if not 0 < s.scale < float("inf"):
        raise ResectError("--scale", "more than 0", f"{s.scale:g}")
    if not s.max_difference >= 0:
        raise ResectError("--max-difference", "0 or more seconds", f"{s.max_difference:g}")
    if s.max_pairs < 0:
        raise ResectError("--max-pairs", "0 or more", str(s.max_pairs))


def _partners(estimate: Trajectory, truth: Trajectory, s: TrajectorySettings) -> tuple[Tensor, Tensor]:
    if not (estimate.timed and truth.timed):
        if len(estimate) != len(truth):
            untimed = "the truth" if estimate.timed else "the estimate"
            got = f"{len(estimate)} and {len(truth)}, and {untimed} has no time stamps"
            fix = "Give time stamps (--times for KITTI), or files with a row for every frame."
            raise ResectError("trajectories", "as many rows in both, to pair them by row", got, fix)
        rows = torch.arange(len(truth))
        return rows, rows
    rows, partners = associate(estimate.seconds + s.offset, truth.seconds, s.max_difference)
    if not len(rows):
        span, true_span = (f"{float(t.seconds[0]):.3f} to {float(t.seconds[-1]):.3f} s" for t in (estimate, truth))
        fix = "Do both use the same clock? Set --offset or --max-difference."
        raise ResectError("trajectories", f"poses within {s.max_difference:g} s", f"{span} and {true_span}", fix)
    return rows, partners


def _remarks(rows: Tensor, estimate: Trajectory, first: Tensor, s: TrajectorySettings) -> list[str]:
    notes = []
    if len(rows) < len(estimate):
        notes.append(f"{len(estimate) - len(rows)} of {len(estimate)} poses have no true one at their time.")
    if not len(first):
        notes.append(f"No two poses are {s.delta:g} {s.delta_unit} apart: there is no relative error.")
    return notes


def _refuse_swapped(estimate: Tensor, onto: Tensor, truth: Tensor) -> None:
    """An error when rotations disagree with the true ones, and agree once the quaternions are read in another order.

    A constant turn between the two cameras' axes is a convention and allowed for.
    """
    quaternion = so3.to_quaternion(estimate)
    as_read = _disagreement_deg(onto @ estimate, truth)
    for order, moves in (("wxyz", -1), ("xyzw", 1)):
        swapped = _disagreement_deg(onto @ so3.from_quaternion(quaternion.roll(moves, -1)), truth)
        if len(quaternion) >= 5 and as_read > 20 and swapped < 0.2 * as_read:
            got = f"axes that differ by {as_read:.0f}° as read, and by {swapped:.1f}° when read as {order}"
            raise ResectError(
                "estimate: quaternions", "rotations that fit the true ones", got, f"Give --order {order}."
            )


def _disagreement_deg(estimate: Tensor, truth: Tensor) -> float:
    offset = truth.mT @ estimate
    return float(torch.rad2deg(so3.angle(offset, mean_rotation(offset).expand_as(offset)).median()))
