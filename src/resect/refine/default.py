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
from resect.refine.halving import Candidates, spread_of
from resect.refine.judge import ErrorModel, make_bench, modes, status_of, with_floor
from resect.refine.recipe import RefineSettings, Work
from resect.types import Estimate, Hypotheses, Photo, Status


@dataclass(frozen=True, eq=False)
class Inversion:
    """Guess → pose: what `Localizer` uses unless it is given another refiner.

    Attributes:
        settings: sizes and stages.
        errors: how exact the scene is; without it covariances and thresholds are typical ones.
        seed: with the photo's name it fixes all randomness.
    """

    settings: RefineSettings = field(default_factory=RefineSettings)
    errors: ErrorModel | None = None
    seed: int = 0

    def refine(self, scene: Scene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """The pose of a photo; a photo that does not fit gets a status, never an exception."""
        camera = photo.known_camera()
        finite = hypotheses.cam_from_world.t.isfinite().all(-1) & hypotheses.cam_from_world.R.isfinite().all((-2, -1))
        if not len(hypotheses):
            answer = Estimate(Status.NO_HYPOTHESIS)
        elif not bool(finite.any()) or not bool(photo.image.isfinite().all()):
            answer = Estimate(Status.NON_FINITE)
        else:
            with torch.no_grad():
                work = Work(scene, photo, self.settings)
                answer = self._invert(work, _float32(_informative(hypotheses.take(finite.nonzero()[:, 0]))))
        return replace(answer, camera=camera, camera_source=photo.camera_source)

    def agreement(self, scene: Scene, photo: Photo, cam_from_world: SE3) -> float:
        """How much one pose's render looks like the photo, as the status is decided by: −1 to 1."""
        work = Work(scene, photo, self.settings)
        return float(agreement(work.view(self.settings.match_side), cam_from_world).detail[0])

    def _invert(self, work: Work, hypotheses: Hypotheses) -> Estimate:
        s, model = self.settings, self.errors or ErrorModel()
        start = hypotheses.cam_from_world
        if not recipe.has_contrast(work):
            return Estimate(Status.NO_AGREEMENT, cost=work.meter.cost)
        work.length = model.length or recipe.seen_distance(work.view(s.coarse_side), start)
        model = model.scaled(work.length)
        spread = spread_of(hypotheses, work.length, math.radians(s.unknown_turn_deg), s.unknown_shift)
        small = (spread.turn_rad < math.radians(s.tight_turn_deg)) & (spread.shift < s.tight_shift * work.length)
        if bool(small.all()):
            ended = recipe.score_starts(work, hypotheses)
            exact = (spread.turn_rad[ended.parent] < 3 * model.turn_rad).all()
            if not bool(exact):
                ended = recipe.polish(work, ended)
        else:
            generator = torch.Generator().manual_seed(self.seed)
            ended = recipe.polish(work, recipe.match(work, recipe.search(work, hypotheses, spread, generator)))
        return self._judge(work, hypotheses, ended, model)

    def _judge(self, work: Work, hypotheses: Hypotheses, ended: Candidates, model: ErrorModel) -> Estimate:
        s = self.settings
        with work.meter.stage("judge"):
            bench = make_bench(work.view(s.bench_side), s.bench_pixels, s.bench_scale, self.seed)
            parents = ended.parent.unique()
            before = bench.loss(hypotheses.cam_from_world[parents])[torch.searchsorted(parents, ended.parent)]
            after = bench.loss(ended.cam_from_world)
            improved = after <= before
            starts = hypotheses.take(ended.parent)
            poses = recipe.where(improved, ended.cam_from_world, starts.cam_from_world)
            loss = torch.minimum(after, before).nan_to_num(torch.inf)
            extent = float((work.scene.bounds[1] - work.scene.bounds[0]).norm())
            joined = replace(starts, cam_from_world=poses, information=None, target=hypotheses.target)
            found, index = modes(joined, loss, model.residual**2, model.independent, extent)
            agree = agreement(work.view(s.fine_side), found.cam_from_world[:1]).both
            known = None if starts.information is None else starts.information[index]
            photo = with_floor(bench.information(found.cam_from_world, model), model.turn_rad, model.shift)
            information = _of_unmoved_starts(photo, found.cam_from_world, starts.cam_from_world[index], known)
        best, mass = int(index[0]), found.log_weight.exp()
        status = status_of(
            finite=bool(loss[best].isfinite()),
            agreement=float(agree[0]),
            model=model,
            improved=bool(improved[best]),
            second_mass=float(mass[1]) if len(mass) > 1 else 0.0,
        )
        if not status.ok and recipe.nothing_in_view(work, hypotheses.cam_from_world):
            status = Status.OUT_OF_VIEW
        return Estimate(
            status,
            replace(found, information=information),
            trace=tuple(work.trace),
            cost=work.meter.cost,
            loss=(float(loss[best]), float(before[best])),
        )


def _of_unmoved_starts(photo: Tensor, poses: SE3, starts: SE3, known: Tensor | None) -> Float[Tensor, "k 6 6"]:
    """What the photo says of each mode; where the pose is the start itself, what was known of that."""
    if known is None:
        return photo.float()
    same = (poses.t - starts.t).abs().amax(-1) == 0
    return torch.where(same[:, None, None], known.double(), photo).float()


def _informative(hypotheses: Hypotheses) -> Hypotheses:
    """Those that say how exact they are, if any does: the others are draws from the same knowledge."""
    if hypotheses.information is None:
        return hypotheses
    says = (hypotheses.information.flatten(1) != 0).any(1).nonzero()[:, 0]
    return hypotheses.take(says) if len(says) else replace(hypotheses, information=None)


def _float32(hypotheses: Hypotheses) -> Hypotheses:
    information = None if hypotheses.information is None else hypotheses.information.double()
    return replace(hypotheses, cam_from_world=hypotheses.cam_from_world.float(), information=information)
