"""The refiner for objects: hypotheses in, modes with mass, covariance and status out.

For scenes with a silhouette that fill a part of the photo, in clutter, partly hidden, under unknown light. Neither mask
nor box is needed where there is a start.
"""

import math
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.se3 import SE3, pivot
from resect.geometry.symmetry import Symmetries
from resect.protocols import Scene
from resect.refine.halving import Candidates, join
from resect.refine.levenberg_marquardt import LMSettings, State, System, levenberg_marquardt, total
from resect.refine.object.distinct import distinct, with_equivalents
from resect.refine.object.known import Known
from resect.refine.object.search import search
from resect.refine.object.settings import ObjectSettings
from resect.refine.object.sight import Sight, Work
from resect.refine.recipe import where
from resect.types import Estimate, Hypotheses, Photo, Status

_NEEDED = ("rgb", "alpha", "depth")


@dataclass(frozen=True, eq=False)
class ObjectInversion:
    """Guess → pose of an object.

    Attributes:
        settings: sizes, stages and weights.
        seed: of what is drawn around the last candidates.
        symmetries: of the object, as far as they are known: the poses that should look like the answer are looked at
            too, and are modes where they do.
    """

    settings: ObjectSettings = field(default_factory=ObjectSettings)
    seed: int = 0
    symmetries: Symmetries = field(default_factory=Symmetries)

    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """The pose of the object in a photo; a photo without it gets a status, never an exception."""
        missing = [name for name in _NEEDED if name not in scene.channels]
        if missing:
            raise ResectError("object refiner", f"a scene with {', '.join(_NEEDED)}", f"one without {missing}")
        camera = photo.known_camera()
        finite = hypotheses.cam_from_world.finite
        if not len(hypotheses):
            answer = Estimate(Status.NO_HYPOTHESIS)
        elif not bool(finite.any()) or not bool(photo.image.isfinite().all()):
            answer = Estimate(Status.NON_FINITE)
        else:
            with torch.no_grad():
                starts = hypotheses.take(finite.nonzero()[:, 0])
                starts = replace(starts, cam_from_world=starts.cam_from_world.float())
                answer = self._invert(Work(scene, photo, self.settings), starts)
        return replace(answer, camera=camera, camera_source=photo.camera_source)

    def _invert(self, work: Work, starts: Hypotheses) -> Estimate:
        s, known = self.settings, Known.of(starts, self.settings.most_around)
        candidates = search(work, starts)
        if not len(candidates.score):
            return Estimate(Status.OUT_OF_VIEW, cost=work.meter.cost)
        before = s.mass * known.log_density(candidates.cam_from_world, candidates.parent)
        candidates = candidates.scored(candidates.score + before)
        for size, keep in zip(s.settle_px, s.keep, strict=True):
            candidates = distinct(work, candidates, keep, s.apart_deg / 2, s.apart_shift / 2)
            candidates = _settle(work, known, candidates, size)
        generator = torch.Generator().manual_seed(self.seed)
        for turn_deg in s.scatter_deg:
            best = distinct(work, candidates, s.scatter_around, s.apart_deg / 2, s.apart_shift / 2)
            drawn = _scattered(work, known, best, turn_deg, generator)
            candidates = join([candidates, _settle(work, known, drawn, s.settle_px[-1])])
        candidates = distinct(work, candidates, s.polish_keep, s.apart_deg / 2, s.apart_shift / 2)
        candidates = _polished(work, known, candidates)
        with work.meter.stage("judge"):
            return self._judge(work, known, starts, candidates)

    def _judge(self, work: Work, known: Known, starts: Hypotheses, found: Candidates) -> Estimate:
        """Modes from rank; a start that looks more like the photo than what was made of it is the answer."""
        s = self.settings
        parents = found.parent.unique()
        before = starts.cam_from_world[parents]
        candidates, count = with_equivalents(work, found, self.symmetries, s.apart_deg)
        both = SE3.cat([candidates.cam_from_world, before])
        sight, fine = work.sight(both, s.settle_px[-1]), work.sight(both, s.polish_px, facets_px=s.polish_facets_px)
        assert sight is not None
        assert fine is not None
        score = sight.rank(candidates.cam_from_world) + self._told(known, candidates, count)
        candidates = self._ordered(work, known, candidates.scored(score), count)
        looked = fine.rank(before)
        improved = bool(fine.rank(candidates.cam_from_world[:1]) >= looked.max())
        if not improved:
            index = parents[looked.argmax()][None]
            candidates = Candidates(starts.cam_from_world[index], looked.max()[None], index)
            if len(starts) > 1:
                candidates, count = with_equivalents(work, candidates, self.symmetries, s.apart_deg)
                candidates = candidates.scored(sight.rank(candidates.cam_from_world))
                candidates = self._ordered(work, known, candidates, count)
        modes = self._modes(sight, known, starts, candidates)
        first = modes.cam_from_world[:1]
        least = s.least_told if known.information is not None or starts.target is not None else s.least
        agrees = bool(sight.likeness(first) >= least) and sight.fits_box(first)
        loss = -float(fine.rank(first)), -float(looked[candidates.parent[0] == parents][0])
        status = self._status(modes, agrees, improved)
        return Estimate(status, modes, tuple(work.trace), work.meter.cost, loss=loss)

    def _ordered(self, work: Work, known: Known, candidates: Candidates, count: int) -> Candidates:
        """Those that differ, by mass."""
        s = self.settings
        candidates = distinct(work, candidates, max(s.keep[-1], count), s.apart_deg, s.apart_shift)
        return candidates.take(self._mass(known, candidates).argsort(descending=True))

    def _told(self, known: Known, candidates: Candidates, count: int) -> Float[Tensor, "h"]:
        """What is known of candidates in units of rank; of each `count` of them the others look like the first.

        One start says which of them is meant; several are a density, whose weights do not: then what is known of the
        first is known of all.
        """
        which = torch.arange(len(candidates.score))
        which = which if len(known.start) == 1 else which // count * count
        return self.settings.mass * known.log_density(candidates.cam_from_world[which], candidates.parent)

    def _mass(self, known: Known, candidates: Candidates) -> Float[Tensor, "h"]:
        """Logarithm, up to a constant: weight of the hypothesis that each came from, and rank."""
        return known.weight(candidates.parent) + candidates.score.double() / self.settings.mass

    def _modes(self, sight: Sight, known: Known, starts: Hypotheses, chosen: Candidates) -> Hypotheses:
        poses = chosen.cam_from_world
        nothing = torch.zeros(len(poses), 0, dtype=torch.float64)
        state, before = State(poses, nothing, torch.arange(len(poses)), 0), known.term(chosen.parent, 1.0)
        information = sight.fine_system(poses)(state).matrix / self.settings.spread
        if before is not None:
            information = information + before(state).matrix
        names = tuple(starts.source[int(k)] for k in chosen.parent) if starts.source else ()
        weight = self._mass(known, chosen).log_softmax(0).to(starts.log_weight)
        return Hypotheses(poses, weight, information, source=names, target=starts.target)

    def _status(self, modes: Hypotheses, agrees: bool, improved: bool) -> Status:
        if not agrees:
            return Status.NO_AGREEMENT
        if len(modes) > 1 and float(modes.log_weight[:2].softmax(0)[1]) >= self.settings.ambiguous:
            return Status.AMBIGUOUS
        return Status.OK if improved else Status.NOT_IMPROVED


def _score(sight: Sight, known: Known, poses: SE3, parent: Int[Tensor, "h"]) -> Float[Tensor, "h"]:
    """Rank, and what was known before in its units."""
    return sight.rank(poses) + sight.settings.mass * known.log_density(poses, parent)


def _system(sight: Sight, known: Known, poses: SE3, parent: Int[Tensor, "h"], slope_px: float) -> System:
    """Outline and surface, and what was known before in their units."""
    seen, before = sight.system(poses, slope_px), known.term(parent, sight.settings.spread)
    return seen if before is None else total([seen, before])


def _fine_system(sight: Sight, known: Known, poses: SE3, parent: Int[Tensor, "h"]) -> System:
    """The same for poses that are nearly right."""
    seen, before = sight.fine_system(poses), known.term(parent, sight.settings.fine_spread)
    return seen if before is None else total([seen, before])


def _polished(work: Work, known: Known, candidates: Candidates) -> Candidates:
    """As fine as the photo allows; what would look clearly less like the photo stays as it was."""
    s, poses = work.settings, candidates.cam_from_world
    with work.meter.stage("polish"):
        sight = work.sight(poses, s.polish_px, facets_px=s.polish_facets_px)
        if sight is None:
            return candidates
        steps = LMSettings(s.polish_steps, policy="decrease", trust=0.1, stop=s.stop / 3)
        for _ in range(s.polish_rounds):
            system = _fine_system(sight, known, poses, candidates.parent)
            poses = levenberg_marquardt(system, poses, steps, length=work.radius, pivot=work.middle).cam_from_world
        both = SE3.cat([candidates.cam_from_world, poses])
        before, score = _score(sight, known, both, candidates.parent.repeat(2)).chunk(2)
    better = score >= before - s.mass
    poses = where(better, poses, candidates.cam_from_world)
    found = Candidates(poses, torch.where(better, score, before), candidates.parent)
    work.trace.append(found.step("polish"))
    return found


def _settle(work: Work, known: Known, candidates: Candidates, size_px: int) -> Candidates:
    """Levenberg–Marquardt on outline and surface; a candidate that would look less like the photo stays."""
    s, poses = work.settings, candidates.cam_from_world
    with work.meter.stage(f"settle {size_px}"):
        sight = work.sight(poses, size_px, facets_px=s.facets_px)
        if sight is None:
            return candidates
        moved = poses
        steps = LMSettings(s.steps, policy="decrease", trust=0.3, stop=s.stop)
        for slope in s.slopes_px:
            if size_px == s.settle_px[-1]:
                system = _fine_system(sight, known, moved, candidates.parent)
            else:
                system = _system(sight, known, moved, candidates.parent, slope)
            moved = levenberg_marquardt(system, moved, steps, length=work.radius, pivot=work.middle).cam_from_world
        score, before = (_score(sight, known, p, candidates.parent) for p in (moved, poses))
    settled = Candidates(where(score >= before, moved, poses), torch.maximum(score, before), candidates.parent)
    work.trace.append(settled.step(f"settle {size_px}"))
    return settled


def _scattered(work: Work, known: Known, around: Candidates, turn_deg: float, generator: torch.Generator) -> Candidates:
    """The best of poses drawn about each candidate: out of the small dips that steps end in."""
    s, count = work.settings, work.settings.scatter
    parent = around.parent.repeat_interleave(count)
    draw = torch.randn(len(parent), 6, generator=generator)
    turn = math.radians(turn_deg)
    scale = torch.tensor([0.5, 0.5, s.scatter_along, 1.0, 1.0, 1.0]) * turn
    step = draw * scale * torch.tensor([work.radius] * 3 + [1.0] * 3)
    poses = SE3(
        around.cam_from_world.R.repeat_interleave(count, 0), around.cam_from_world.t.repeat_interleave(count, 0)
    )
    moved = poses.retract((pivot(work.centers(poses)) @ step[..., None])[..., 0])
    sight = work.sight(around.cam_from_world, s.scatter_px, facets_px=s.facets_px)
    if sight is None:
        return around
    with work.meter.stage("scatter"):
        drawn = Candidates(moved, _score(sight, known, moved, parent), parent)
        best = drawn.score.topk(min(s.scatter_keep, len(parent))).indices
    return drawn.take(best)
