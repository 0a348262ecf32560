"""The stages that the default refiner is made of, each from candidates to better candidates."""

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine.agreement import agreement
from resect.refine.halving import Candidates, SearchSettings, Spread, explore, halve, suppress
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt
from resect.refine.linearize import channel_of
from resect.refine.lock import Lock
from resect.refine.matching import MatchSettings, match_and_solve
from resect.refine.objectives import GradientDomain
from resect.refine.robust import Robust
from resect.refine.rows import photometric
from resect.refine.view import Meter, View, shrink, view
from resect.refine.warp import WarpSettings, inverse_compositional
from resect.types import Hypotheses, Photo, Step


@dataclass(frozen=True)
class RefineSettings:
    """The default refiner. Sizes are pixels of the longer image side.

    Attributes:
        coarse_side: size at which hypotheses are scored and settled under blur.
        fine_side: size at which they are scored again.
        match_side: size of the renders that are matched to the photo.
        polish_side: size of the last alignment.
        bench_side: size of the pixels kept apart for judging.
        bench_pixels: how many.
        bench_scale: scale of the Cauchy loss on them.
        floor_share: least standard deviation of an answer, as a part of the error model's.
        search: how hypotheses are multiplied and halved.
        match: how renders are matched.
        match_rounds: renders that each surviving pose is matched through; 0 for scenes without texture.
        match_drop: poses that agree less than the best by this do not go on to the next round.
        match_slack: agreement that a stage may lose; a pose that loses more stays where it was.
        apart_turn_deg: closer poses (and closer than `apart_shift`) count as one after matching.
        apart_shift: the same for the shift, part of the length.
        polish: "gradient" runs Levenberg–Marquardt on image gradients, "warp" aligns the photo to one render with
            depth, "none" keeps what matching found.
        warp: of the polish "warp".
        gradient_scale: Cauchy scale of the polish "gradient".
        gradient_steps: its steps.
        gradient_stop: step, |(v / length, ω)|, at which it has converged.
        depth_side: size at which the photo's own depth, where it has any, is compared; 0 leaves it out.
        focal_sigma: standard deviation of the logarithm of the focal length; 0 holds it as it is.
        unknown_turn_deg: spread of a hypothesis whose turn is not known.
        unknown_shift: the same of each coordinate of the centre, part of the length.
        tight_turn_deg: hypotheses known better than this (and `tight_shift`) are not searched around.
        tight_shift: the same for the shift, part of the length.
    """

    coarse_side: int = 30
    fine_side: int = 60
    match_side: int = 120
    polish_side: int = 120
    bench_side: int = 240
    bench_pixels: int = 1024
    bench_scale: float = 0.1
    floor_share: float = 0.3
    search: SearchSettings = field(default_factory=SearchSettings)
    match: MatchSettings = field(default_factory=MatchSettings)
    match_rounds: int = 2
    match_drop: float = 0.1
    match_slack: float = 0.02
    apart_turn_deg: float = 0.5
    apart_shift: float = 0.01
    polish: Literal["gradient", "warp", "none"] = "gradient"
    warp: WarpSettings = field(default_factory=WarpSettings)
    gradient_scale: float = 0.04
    gradient_steps: int = 5
    gradient_stop: float = 3e-4
    depth_side: int = 120
    focal_sigma: float = 0.0
    unknown_turn_deg: float = 20.0
    unknown_shift: float = 0.15
    tight_turn_deg: float = 1.5
    tight_shift: float = 0.02


class Work:
    """One photo in hand: its views by size, made when first asked for, and the counter of the cost.

    Args:
        scene: what renders.
        photo: with a known camera.
        settings: sizes.

    `length` is the distance of what is seen, set once it is known; `lock` is what poses keep, one row a hypothesis.
    """

    def __init__(self, scene: Scene, photo: Photo, settings: RefineSettings) -> None:
        sides = (settings.bench_side, settings.match_side, settings.polish_side, settings.fine_side)
        self.scene, self.settings, self.meter = scene, settings, Meter()
        self.original = photo.known_camera()
        self.photo = shrink(photo, max(sides))
        camera = self.photo.known_camera()
        self._full = camera.width * camera.height
        self._views: dict[tuple[int, bool], View] = {}
        self.trace: list[Step] = []
        self.length = 1.0
        self.lock: Lock | None = None

    def refocused(self, factor: float) -> "Work":
        """The same photo taken with a focal length `factor` times as long; cost and trace go on."""
        camera = self.photo.known_camera().with_focal_scale(factor)
        other = Work(self.scene, replace(self.photo, camera=camera), self.settings)
        other.meter, other.trace, other.length, other.lock = self.meter, self.trace, self.length, self.lock
        return other

    def lock_of(self, parent: Tensor) -> Lock | None:
        """What poses that came from these hypotheses keep."""
        return None if self.lock is None else self.lock.take(parent)

    def view(self, long_side: int, *, sharp: bool = False) -> View:
        """The photo and the scene at a size."""
        key = (long_side, sharp)
        if key not in self._views:
            self._views[key] = view(self.scene, self.photo, long_side, self.meter, self._full, sharp=sharp)
        return self._views[key]


def seen_distance(at: View, poses: SE3) -> float:
    """Median rendered depth over the poses; half the diagonal of the bounds where the scene has no depth."""
    diagonal = float((at.scene.bounds[1] - at.scene.bounds[0]).norm())
    if "depth" not in at.scene.channels:
        return 0.5 * diagonal
    some = poses[: min(len(poses), 8)]
    depth = channel_of(at.render(some, ("depth",)), "depth")
    known = depth[(depth > 0) & depth.isfinite()]
    return float(known.median()) if len(known) else 0.5 * diagonal


def has_contrast(work: Work) -> bool:
    """Whether the photo shows anything: a constant one agrees with no render."""
    at = work.view(work.settings.coarse_side)
    usable = at.observed[at.weight > 0.5]
    return len(usable) > 1 and float(usable.std(0).max()) > 1e-3


def nothing_in_view(work: Work, poses: SE3) -> bool:
    """Whether none of the poses sees any of the scene."""
    if "alpha" not in work.scene.channels:
        return False
    alpha = channel_of(work.view(work.settings.coarse_side).render(poses[:64], ("alpha",)), "alpha")
    return not bool((alpha > 0.5).any())


def search(work: Work, hypotheses: Hypotheses, spread: Spread, generator: torch.Generator) -> Candidates:
    """Few poses out of the many within the spread of the hypotheses."""
    s = work.settings
    coarse, fine = work.view(s.coarse_side), work.view(s.fine_side)
    with work.meter.stage("search"):
        small = work.view(s.search.lookup.side)
        candidates = explore(coarse, small, hypotheses, spread, s.search, work.length, generator, work.lock)
    with work.meter.stage("settle"):
        kept, trace = halve(coarse, fine, candidates, s.search, work.length, work.lock)
    work.trace += [*trace, kept.step("kept")]
    return kept


def score_starts(work: Work, hypotheses: Hypotheses) -> Candidates:
    """The hypotheses as they are, the best few."""
    s = work.settings
    pose = hypotheses.cam_from_world
    with work.meter.stage("search"):
        candidates = Candidates(pose, agreement(work.view(s.fine_side), pose).both, torch.arange(len(pose)))
    work.trace.append(candidates.step("starts"))
    return suppress(candidates, s.search.keep_fine, s.apart_turn_deg, s.apart_shift * work.length)


def match(work: Work, candidates: Candidates) -> Candidates:
    """Each pose through renders matched to the photo; a pose stays where matching fails or agrees less.

    After each round only poses that agree nearly as well as the best go on.
    """
    s = work.settings
    if s.match_rounds == 0 or "depth" not in work.scene.channels or work.view(s.match_side).channel != "rgb":
        return candidates
    at, fine = work.view(s.match_side), work.view(s.fine_side)
    with work.meter.stage("match"):
        for _ in range(s.match_rounds):
            every = range(len(candidates.score))
            poses = [candidates.cam_from_world[k] for k in every]
            locks = [work.lock_of(candidates.parent[k : k + 1]) for k in every]
            found = [match_and_solve(at, poses[k], s.match, locks[k]).cam_from_world for k in every]
            moved = SE3.stack([old if new is None else new for old, new in zip(poses, found, strict=True)])
            score = agreement(fine, moved).both
            better = score > candidates.score - s.match_slack
            pose = where(better, moved, candidates.cam_from_world)
            candidates = Candidates(pose, torch.where(better, score, candidates.score), candidates.parent)
            work.trace.append(candidates.step("match"))
            candidates = suppress(candidates, len(candidates.score), s.apart_turn_deg, s.apart_shift * work.length)
            candidates = candidates.take((candidates.score > candidates.score.max() - s.match_drop).nonzero()[:, 0])
    return candidates


def polish(work: Work, candidates: Candidates) -> Candidates:
    """The last alignment; a pose stays where it would agree less."""
    s = work.settings
    at, fine, poses = work.view(s.polish_side), work.view(s.fine_side), candidates.cam_from_world
    lock = work.lock_of(candidates.parent)
    with work.meter.stage("polish"):
        if s.polish == "warp" and "depth" in work.scene.channels:
            moved = inverse_compositional(at, poses, s.warp, length=work.length)
            moved = moved if lock is None else lock.hold(moved)
        elif s.polish == "gradient":
            term = photometric(at, GradientDomain(*at.shape, at.channel), Robust("cauchy", s.gradient_scale))
            steps = LMSettings(steps=s.gradient_steps, stop=s.gradient_stop, damping=1e-3)
            moved = levenberg_marquardt(term, poses, steps, length=work.length, lock=lock).cam_from_world
        else:
            return candidates
        score = agreement(fine, moved).both
    better = score > candidates.score - s.match_slack
    pose = where(better, moved, poses)
    candidates = Candidates(pose, torch.where(better, score, candidates.score), candidates.parent)
    work.trace.append(candidates.step("polish"))
    return candidates


def where(mask: Bool[Tensor, "h"], yes: SE3, no: SE3) -> SE3:
    """One pose or the other."""
    return SE3(torch.where(mask[:, None, None], yes.R, no.R), torch.where(mask[:, None], yes.t, no.t))
