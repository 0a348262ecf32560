"""Successive halving: many poses scored at thumbnail size, the best few settled under blur, the best of those kept.

Lengths are parts of `length`, the distance of what is seen; sizes are pixels of the longer image side; so the same
settings serve any scene and any photo.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.refine.agreement import agreement, colour_agreement
from resect.refine.apart import apart
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt
from resect.refine.lock import Lock
from resect.refine.lookup import LookupSettings, lookup
from resect.refine.objectives import Blurred
from resect.refine.robust import Robust
from resect.refine.rows import photometric
from resect.refine.view import View
from resect.types import Hypotheses, Step

_CHUNK = 64


@dataclass(frozen=True)
class SearchSettings:
    """How hypotheses are multiplied and halved.

    Attributes:
        method: "lookup" looks thousands of rotations up in wide renders, "random" draws poses within the spread.
        around: how many of the hypotheses, the best at thumbnail size, "lookup" looks around.
        count: poses that "random" draws around a hypothesis of spread `count_turn_deg`; the number grows with the
            power 3/2 of the spread.
        count_turn_deg: see `count`.
        most: poses scored at thumbnail size in all.
        turn_power: random turns are spread · u^power about a random axis, u uniform; smaller is wider.
        keep_coarse: poses that are settled under blur.
        keep_fine: poses that go on from there.
        blurs_px: blur of each settling at thumbnail size.
        blur_steps: Levenberg–Marquardt steps of each.
        robust: scale of the Cauchy loss while settling.
        apart_coarse_deg: closer poses (and closer than `apart_coarse`) count as one before settling.
        apart_coarse: distance for the same, part of the length.
        apart_fine_deg: the same after settling.
        apart_fine: the same after settling.
        lookup: of the method "lookup".
    """

    method: Literal["lookup", "random"] = "lookup"
    around: int = 6
    count: int = 64
    count_turn_deg: float = 40.0
    most: int = 256
    turn_power: float = 0.6
    keep_coarse: int = 6
    keep_fine: int = 3
    blurs_px: tuple[float, ...] = (3.0, 1.5)
    blur_steps: tuple[int, ...] = (6, 4)
    robust: float = 0.1
    apart_coarse_deg: float = 6.0
    apart_coarse: float = 0.06
    apart_fine_deg: float = 1.5
    apart_fine: float = 0.02
    lookup: LookupSettings = field(default_factory=LookupSettings)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Poses on their way.

    Attributes:
        cam_from_world: K poses.
        score: agreement with the photo, higher is better.
        parent: which hypothesis each came from.
    """

    cam_from_world: SE3
    score: Float[Tensor, "k"]
    parent: Int[Tensor, "k"]

    def take(self, index: Tensor) -> "Candidates":
        """These, in this order."""
        return Candidates(self.cam_from_world[index], self.score[index], self.parent[index])

    def scored(self, score: Float[Tensor, "k"]) -> "Candidates":
        """The same poses with other scores."""
        return Candidates(self.cam_from_world, score, self.parent)

    def step(self, stage: str) -> Step:
        """For the trace."""
        return Step(stage, self.cam_from_world, 1 - self.score)


@dataclass(frozen=True, eq=False)
class Spread:
    """How far each hypothesis may be from the truth: largest turn (radians), largest shift of a coordinate (units)."""

    turn_rad: Float[Tensor, "h"]
    shift: Float[Tensor, "h"]


def spread_of(hypotheses: Hypotheses, length: float, unknown_turn_rad: float, unknown_shift: float) -> Spread:
    """From the information: three σ of the least known turn, √3 σ of the least known shift (uniform's half width).

    Args:
        length: distance of what is seen.
        unknown_turn_rad: where nothing is known of the turn.
        unknown_shift: where nothing is known of the shift, part of the length.
    """
    h = len(hypotheses)
    turn, shift = torch.full((h,), unknown_turn_rad), torch.full((h,), unknown_shift * length)
    if hypotheses.information is None:
        return Spread(turn, shift)
    precision = hypotheses.information.double().diagonal(dim1=-2, dim2=-1)
    if hypotheses.information.flatten(1).abs().sum() > precision.abs().sum() * (1 + 1e-6):
        covariance = torch.linalg.pinv(hypotheses.information.double(), hermitian=True)
        spread = covariance.diagonal(dim1=-2, dim2=-1)
        precision = torch.where(spread > 0, 1 / spread.clamp_min(1e-30), torch.zeros_like(spread))
    least_shift, least_turn = precision[:, :3].min(1).values.float(), precision[:, 3:].min(1).values.float()
    turn = torch.where(least_turn > 0, 3 * least_turn.clamp_min(1e-12).rsqrt(), turn).clamp_max(math.pi)
    shift = torch.where(least_shift > 0, math.sqrt(3) * least_shift.clamp_min(1e-12).rsqrt(), shift)
    return Spread(turn, shift.clamp_max(4 * length))


def counts(spread: Spread, settings: SearchSettings) -> Int[Tensor, "h"]:
    """How many poses are drawn around each hypothesis."""
    wanted = settings.count * (spread.turn_rad / math.radians(settings.count_turn_deg)) ** 1.5
    room = max(0.0, settings.most - len(wanted)) / max(float(wanted.sum()), 1e-9)
    return (wanted * min(1.0, room)).long()


def scatter(
    start: SE3, spread: Spread, each: Int[Tensor, "h"], power: float, generator: torch.Generator
) -> tuple[SE3, Int[Tensor, "k"]]:
    """Random poses around each start; also which start each came from."""
    parent = torch.arange(len(start)).repeat_interleave(each)
    n = len(parent)
    axis = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=1)
    turn = spread.turn_rad[parent] * torch.rand(n, generator=generator) ** power
    shift = (2 * torch.rand(n, 3, generator=generator) - 1) * spread.shift[parent, None]
    moved = start[parent].retract(torch.cat([torch.zeros(n, 3), axis * turn[:, None]], 1).to(start.t))
    centre = moved.center + shift.to(start.t)
    return SE3(moved.R, -(moved.R @ centre[..., None])[..., 0]), parent


def suppress(candidates: Candidates, keep: int, apart_deg: float, distance: float) -> Candidates:
    """The best `keep`, none of them closer to a better one than both limits."""
    order = candidates.score.nan_to_num(-9.0).argsort(descending=True)
    poses = candidates.cam_from_world[order]
    turn, shift = apart(poses)
    same = (turn < math.radians(apart_deg)) & (shift < distance)
    chosen: list[int] = []
    for k in range(len(order)):
        if len(chosen) == keep:
            break
        if not any(bool(same[k, j]) for j in chosen):
            chosen.append(k)
    return candidates.take(order[chosen])


def score_colour(view: View, poses: SE3) -> Float[Tensor, "k"]:
    """Agreement of colours, in chunks."""
    starts = range(0, max(len(poses), 1), _CHUNK)
    return torch.cat([colour_agreement(view, view.shown(poses[k : k + _CHUNK])) for k in starts])


def settle(view: View, poses: SE3, settings: SearchSettings, length: float, lock: Lock | None = None) -> SE3:
    """Levenberg–Marquardt on render and photo, both blurred, strong blur first."""
    for sigma, steps in zip(settings.blurs_px, settings.blur_steps, strict=True):
        term = photometric(view, Blurred(*view.shape, sigma, view.channel), Robust("cauchy", settings.robust))
        s = LMSettings(steps=steps, stop=1e-3)
        poses = levenberg_marquardt(term, poses, s, length=length, lock=lock).cam_from_world
    return poses


def explore(
    coarse: View,
    small: View,
    hypotheses: Hypotheses,
    spread: Spread,
    settings: SearchSettings,
    length: float,
    generator: torch.Generator,
    lock: Lock | None = None,
) -> Candidates:
    """The hypotheses and poses within their spread, scored at thumbnail size; `small` is the size of the lookup.

    What is found around a hypothesis is set back to what it keeps of it, then scored. Where that is the rotation there
    is nothing to look up.
    """
    start = hypotheses.cam_from_world
    starts = Candidates(start, score_colour(coarse, start), torch.arange(len(start)))
    if settings.method == "random" or (lock is not None and lock.rotation):
        poses, parent = scatter(start, spread, counts(spread, settings), settings.turn_power, generator)
        poses = poses if lock is None else lock.take(parent).hold(poses)
        return join([starts, Candidates(poses, score_colour(coarse, poses), parent)])
    found = [starts]
    best = suppress(starts, settings.around, settings.apart_coarse_deg, settings.apart_coarse * length)
    for k in best.parent.tolist():
        reach, shift = float(spread.turn_rad[k]), float(spread.shift[k])
        poses, score = lookup(small, start[k], reach, shift, settings.lookup, length)
        parent = torch.full((len(score),), k)
        if lock is not None:
            poses = lock.take(parent).hold(poses)
            score = score_colour(coarse, poses)
        found.append(Candidates(poses, score, parent))
    return join(found)


def join(parts: list[Candidates]) -> Candidates:
    """All of them."""
    return Candidates(
        SE3.cat([p.cam_from_world for p in parts]),
        torch.cat([p.score for p in parts]),
        torch.cat([p.parent for p in parts]),
    )


def halve(
    coarse: View,
    fine: View,
    candidates: Candidates,
    settings: SearchSettings,
    length: float,
    lock: Lock | None = None,
) -> tuple[Candidates, list[Step]]:
    """The best few settled under blur, scored again at twice the size; also the steps for the trace."""
    trace = [candidates.step("search")]
    few = suppress(candidates, settings.keep_coarse, settings.apart_coarse_deg, settings.apart_coarse * length)
    held = None if lock is None else lock.take(few.parent)
    settled = settle(coarse, few.cam_from_world, settings, length, held)
    few = Candidates(settled, agreement(fine, settled).both, few.parent)
    trace.append(few.step("settle"))
    return suppress(few, settings.keep_fine, settings.apart_fine_deg, settings.apart_fine * length), trace
