"""The default refiner: search around loose hypotheses, match, align, judge."""

import math
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.protocols import Scene
from resect.refine import recipe
from resect.refine.agreement import agreement
from resect.refine.depth import depth_term
from resect.refine.focal import solve_focal
from resect.refine.halving import Candidates, spread_of
from resect.refine.judge import Bench, ErrorModel, make_bench, modes, status_of, with_floor
from resect.refine.levenberg_marquardt import System
from resect.refine.lock import Lock, locked_of
from resect.refine.recipe import RefineSettings, Work
from resect.refine.rows import fuse, intersect, pose_information
from resect.types import Estimate, Hypotheses, Photo, Status

_DEPTH_ROUNDS = 2
_INDEPENDENT = ("given", "oracle")  # sources of poses that owe nothing to the training photos


@dataclass(frozen=True, eq=False)
class Inversion:
    """Guess → pose: what `Localizer` uses unless it is given another refiner.

    Attributes:
        settings: sizes and stages.
        errors: how exact the scene is; without it covariances and thresholds are typical ones.
        seed: of the search and of the pixels kept apart.
        known: further terms in units of σ that the answer is fused with (`refine.rows`: up, landmarks, …).
        locked: degrees of freedom that are known exactly: "rotation", "translation" or any of "vx" … "wz", along the
            axes of the anchor's camera.
        anchor: the pose they are taken from; by default each hypothesis's own.
    """

    settings: RefineSettings = field(default_factory=RefineSettings)
    errors: ErrorModel | None = None
    seed: int = 0
    known: tuple[System, ...] = ()
    locked: tuple[str, ...] = ()
    anchor: SE3 | None = None

    def __post_init__(self) -> None:
        locked_of(self.locked)

    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """The pose of a photo; a photo that does not fit gets a status, never an exception."""
        camera = photo.known_camera()
        finite = hypotheses.cam_from_world.finite
        if not len(hypotheses):
            answer = Estimate(Status.NO_HYPOTHESIS)
        elif not bool(finite.any()):
            answer = Estimate(Status.NON_FINITE)
        else:
            with torch.no_grad():
                work = Work(scene, photo, self.settings)
                answer = self._invert(work, _float32(_informative(hypotheses.take(finite.nonzero()[:, 0]))))
        return replace(answer, camera=answer.camera or camera, camera_source=photo.camera_source)

    def agreement(self, scene: Scene, photo: Photo, cam_from_world: SE3) -> float:
        """How much one pose's render looks like the photo, as the status is decided by: −1 to 1."""
        work = Work(scene, photo, self.settings)
        return float(agreement(work.view(self.settings.match_side), cam_from_world).detail[0])

    def _invert(self, work: Work, hypotheses: Hypotheses) -> Estimate:
        s, model = self.settings, self.errors or ErrorModel()
        if self.locked:
            work.lock = self._lock(hypotheses.cam_from_world)
            hypotheses = _held(hypotheses, work.lock)
        start = hypotheses.cam_from_world
        # Of the shrunk photo, which is much smaller: averaging keeps what is not finite.
        if not bool(work.photo.image.isfinite().all()):
            return Estimate(Status.NON_FINITE)
        if not recipe.has_contrast(work):
            return Estimate(Status.NO_AGREEMENT, cost=work.meter.cost)
        work.length = model.length or recipe.seen_distance(work.view(s.coarse_side), start)
        model = model.scaled(work.length)
        spread = spread_of(hypotheses, work.length, math.radians(s.unknown_turn_deg), s.unknown_shift)
        if work.lock is not None and work.lock.translation:
            spread = replace(spread, shift=torch.zeros_like(spread.shift))
        small = (spread.turn_rad < math.radians(s.tight_turn_deg)) & (spread.shift < s.tight_shift * work.length)
        if bool(small.all()):
            ended = recipe.score_starts(work, hypotheses)
            if bool((spread.turn_rad[ended.parent] < 3 * model.turn_rad).all()):
                return self._judge(work, hypotheses, ended, model)
        else:
            generator = torch.Generator().manual_seed(self.seed)
            ended = recipe.match(work, recipe.search(work, hypotheses, spread, generator))
        if s.focal_sigma > 0 and "depth" in work.scene.channels:
            return self._with_focal(work, hypotheses, ended, model)
        return self._judge(work, hypotheses, recipe.polish(work, ended), model)

    def _lock(self, own: SE3) -> Lock:
        locked = locked_of(self.locked)
        if self.anchor is None:
            return Lock(own, locked)
        r, t = (x.to(own.t).expand(len(own), *x.shape) for x in (self.anchor.R, self.anchor.t))
        return Lock(SE3(r, t), locked)

    def _with_focal(self, work: Work, hypotheses: Hypotheses, ended: Candidates, model: ErrorModel) -> Estimate:
        """The best pose alone, together with the focal length; then judged with that camera."""
        best = ended.take(ended.score.argmax()[None])
        lock = work.lock_of(best.parent)
        pose, log_focal = solve_focal(work, best.cam_from_world, self.settings.focal_sigma, lock)
        sharper = work.refocused(math.exp(log_focal))
        ended = recipe.polish(sharper, Candidates(pose, best.score, best.parent))
        answer = self._judge(sharper, hypotheses, ended, model)
        rows = 0 if answer.modes is None else len(answer.modes)
        return replace(
            answer,
            camera=work.original.with_focal_scale(math.exp(log_focal)),
            extra_names=("log_focal",),
            extras=torch.full((rows, 1), log_focal),
        )

    def _judge(self, work: Work, hypotheses: Hypotheses, ended: Candidates, model: ErrorModel) -> Estimate:
        s, starts = self.settings, hypotheses.take(ended.parent)
        with work.meter.stage("judge"):
            bench = make_bench(work.view(s.bench_side), s.bench_pixels, s.bench_scale, self.seed)
            before = _of_parents(bench, hypotheses, ended.parent)
            lock = work.lock_of(ended.parent)
            poses, information = self._fused(bench, ended.cam_from_world, starts, model, lock)
            poses, information = self._with_depth(work, poses, information, model, lock)
            after = bench.loss(poses)
            improved = after <= before
            poses = recipe.where(improved, poses, starts.cam_from_world)
            loss = torch.minimum(after, before).nan_to_num(torch.inf)
            extent = float((work.scene.bounds[1] - work.scene.bounds[0]).norm())
            joined = replace(starts, cam_from_world=poses, information=information.float(), target=hypotheses.target)
            found, index = modes(joined, loss, model.residual**2, model.independent, extent)
            agree = float(agreement(work.view(s.match_side), found.cam_from_world[:1]).detail[0])
        best, mass = int(index[0]), found.log_weight.exp()
        second = float(mass[1]) if len(mass) > 1 else 0.0
        status = status_of(
            finite=bool(loss[best].isfinite()),
            agreement=agree,
            model=model,
            improved=bool(improved[best]),
            second_mass=second,
        )
        if not status.ok and recipe.nothing_in_view(work, hypotheses.cam_from_world):
            status = Status.OUT_OF_VIEW
        losses = float(loss[best]), float(before[best])
        return Estimate(status, found, trace=tuple(work.trace), cost=work.meter.cost, loss=losses)

    def _fused(
        self, bench: Bench, poses: SE3, starts: Hypotheses, model: ErrorModel, lock: Lock | None
    ) -> tuple[SE3, Float[Tensor, "k 6 6"]]:
        """What the photo says of each pose together with what was known before; a pose that is its start stays.

        What a prior learned from the same training photos shares their errors with the scene, so the two are
        intersected, not added; what the user knows is added. Without a measured error model the two cannot be
        weighed, and what was known does not move the pose.
        """
        stays = (poses.t == starts.cam_from_world.t).all(-1)
        if starts.information is not None and not self.known and bool(stays.all()):
            return poses, starts.information
        share = self.settings.floor_share
        photo = with_floor(bench.information(poses, model), share * model.turn_rad, share * model.shift)
        before = starts.information if model.photos else None
        if before is not None and not all(name.startswith(_INDEPENDENT) for name in starts.source or ("",)):
            photo, before = intersect(photo, before)
        terms = [pose_information(poses, photo), *self.known]
        if before is not None:
            terms.append(pose_information(starts.cam_from_world, before))
        fused, information = fuse(poses, terms, lock) if len(terms) > 1 or lock is not None else (poses, photo)
        if starts.information is None or self.known:
            return fused, information
        known = torch.where(stays[:, None, None], starts.information, information)
        return recipe.where(stays, poses, fused), known

    def _with_depth(
        self, work: Work, poses: SE3, information: Float[Tensor, "k 6 6"], model: ErrorModel, lock: Lock | None
    ) -> tuple[SE3, Float[Tensor, "k 6 6"]]:
        """The poses and what is known of them together with the photo's own depth, where it has any."""
        if not self.settings.depth_side or work.photo.depth is None:
            return poses, information
        at, found = work.view(self.settings.depth_side), (poses, information)
        for _ in range(_DEPTH_ROUNDS):
            term = depth_term(at, found[0], model.independent)
            if term is None:
                break
            found = fuse(found[0], [pose_information(poses, information), term], lock)
        return found


def _of_parents(bench: Bench, hypotheses: Hypotheses, parent: Tensor) -> Float[Tensor, "k"]:
    """Loss of the start of each pose, each start rendered once."""
    different, place = parent.unique(return_inverse=True)
    return bench.loss(hypotheses.cam_from_world[different])[place]


def _informative(hypotheses: Hypotheses) -> Hypotheses:
    """Those that say how exact they are, if any does: the others are draws from the same knowledge."""
    if hypotheses.information is None:
        return hypotheses
    says = (hypotheses.information.flatten(1) != 0).any(1).nonzero()[:, 0]
    return hypotheses.take(says) if len(says) else replace(hypotheses, information=None)


def _held(hypotheses: Hypotheses, lock: Lock) -> Hypotheses:
    """The most likely of the poses that keep what is locked, by their information where they have any."""
    poses = lock.hold(hypotheses.cam_from_world)
    if hypotheses.information is not None:
        poses, _ = fuse(poses, [pose_information(hypotheses.cam_from_world, hypotheses.information)], lock)
    return replace(hypotheses, cam_from_world=poses)


def _float32(hypotheses: Hypotheses) -> Hypotheses:
    information = None if hypotheses.information is None else hypotheses.information.double()
    return replace(hypotheses, cam_from_world=hypotheses.cam_from_world.float(), information=information)
