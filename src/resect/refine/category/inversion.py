"""From many starts to the pose of an instance, and to its code where that is not known.

Three cases, by what is known of the instance: the photo's target names one that the scene has learned; the hypotheses
carry codes; or neither, and then pose and code are found together. Each start is tried with a few learned codes far
from each other, the best go through Levenberg–Marquardt on ever larger images, and after the first stage the best poses
are tried with the learned codes that look most alike.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.data.mask import box_of
from resect.data.target import on_white
from resect.geometry.se3 import SE3
from resect.refine.agreement import agreement
from resect.refine.category.codes import CodeSpace
from resect.refine.category.descend import descend
from resect.refine.category.losses import image_loss
from resect.refine.category.settings import CategorySettings
from resect.refine.category.term import CodedScene, Codes, photo_term
from resect.refine.halving import Candidates, suppress
from resect.refine.judge import ErrorModel, modes, status_of, with_floor
from resect.refine.levenberg_marquardt import LMSettings, State, levenberg_marquardt
from resect.refine.recipe import where
from resect.refine.robust import Robust
from resect.refine.view import Meter, View, shrink, view
from resect.types import Estimate, Hypotheses, Photo, Status, Step

_WHITE = 0.97  # darker is of the object
_CHUNK = 1 << 18  # rays scored at a time


@dataclass(frozen=True, eq=False)
class Tried:
    """Poses with codes on their way.

    Attributes:
        pose: K poses.
        code: their codes.
        loss: of each at the last size it was looked at.
        parent: which hypothesis each came from.
    """

    pose: SE3
    code: Float[Tensor, "k d"]
    loss: Float[Tensor, "k"]
    parent: Int[Tensor, "k"]

    def take(self, index: Tensor) -> "Tried":
        """These, in this order."""
        return Tried(self.pose[index], self.code[index], self.loss[index], self.parent[index])

    def best_of(self, parents: Int[Tensor, "h"]) -> "Tried":
        """Of each of these hypotheses the one with the least loss."""
        order = self.loss.argsort()
        return self.take(torch.stack([order[(self.parent[order] == p).nonzero()[0, 0]] for p in parents]))

    def step(self, stage: str) -> Step:
        """For the trace."""
        return Step(stage, self.pose, self.loss)


@dataclass(frozen=True, eq=False)
class CategoryInversion:
    """The refiner of scenes that take codes.

    Attributes:
        settings: stages, loss, optimiser.
        errors: how exact the scene is.
    """

    settings: CategorySettings = field(default_factory=CategorySettings)
    errors: ErrorModel = field(default_factory=ErrorModel)

    @torch.no_grad()
    def refine(self, scene: CodedScene, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        """Modes with their codes; a photo that does not fit gets a status, never an exception."""
        camera, source = photo.known_camera(), photo.camera_source
        finite, meter = hypotheses.cam_from_world.finite, Meter()
        if not len(hypotheses):
            answer = Estimate(Status.NO_HYPOTHESIS)
        elif not bool(finite.any()) or not bool(photo.image.isfinite().all()):
            answer = Estimate(Status.NON_FINITE)
        else:
            answer = Search(scene, photo, self.settings, meter).answer(
                hypotheses.take(finite.nonzero()[:, 0]), self.errors
            )
        return replace(answer, camera=camera, camera_source=source, cost=meter.cost)


def around(at: View, margin: float) -> Int[Tensor, "n"]:
    """Pixels in the grown box of what is not white; all where everything is."""
    ink = (at.observed.amin(-1) < _WHITE).unflatten(0, at.shape)
    if not bool(ink.any()):
        return torch.arange(ink.numel())
    left, top, right, bottom = (int(x) for x in box_of(ink))
    chosen = torch.zeros(at.shape, dtype=torch.bool)
    chosen[_grown(top, bottom, margin), _grown(left, right, margin)] = True
    return chosen.flatten().nonzero()[:, 0]


def _grown(low: int, high: int, margin: float) -> slice:
    more = 1 + round(margin * (high - low))
    return slice(max(0, low - more), high + more)


class Search:
    """One photo in hand.

    Args:
        scene: what renders.
        photo: with a known camera.
        settings: how.
        meter: counts the cost.
    """

    def __init__(self, scene: CodedScene, photo: Photo, settings: CategorySettings, meter: Meter) -> None:
        self.scene, self.settings, self.meter = scene, settings, meter
        # White is what lies behind the instances of a category.
        target = None if photo.target is None else replace(photo.target, mask=None)
        photo = shrink(replace(on_white(photo), target=target), max(settings.sides))
        self.photo, camera = photo, photo.known_camera().fit_within(settings.sides[-1])
        full = camera.width * camera.height
        self.views = [view(scene, photo, side, meter, full) for side in settings.sides]
        self.middle = scene.bounds.mean(0)
        self.trace: list[Step] = []

    def answer(self, hypotheses: Hypotheses, errors: ErrorModel) -> Estimate:
        """The estimate, without its camera."""
        if float(self.views[0].observed.std(0).max()) < 1e-3:
            return Estimate(Status.NO_AGREEMENT)
        poses = hypotheses.cam_from_world.float()
        with self.meter.stage("search"):
            tried, space = self._starts(poses, hypotheses.code)
        best = self._adam(tried, space) if self.settings.optimizer == "adam" else self._halve(tried, space)
        with self.meter.stage("judge"):
            return self._judge(hypotheses, tried, best, space, errors)

    def _starts(self, poses: SE3, code: Tensor | None) -> tuple[Tried, CodeSpace | None]:
        """Every start with every code that is tried at first, and where the code is free."""
        target, learned = self.photo.target, self.scene.codes
        every = torch.arange(len(poses))
        if code is not None:
            return self._scored(poses, code.float(), every), None
        if target is not None and target.object_id in self.scene.instances:
            known = learned[self.scene.instances.index(target.object_id)]
            return self._scored(poses, known.expand(len(poses), -1), every), None
        if len(learned) == 1:
            return self._scored(poses, learned.expand(len(poses), -1), every), None
        space = CodeSpace.of(learned, self.settings.components)
        some = learned[space.spread(self.settings.prototypes)]
        parent = every.repeat_interleave(len(some))
        return self._scored(poses[parent], some.repeat(len(poses), 1), parent), space

    def _scored(self, pose: SE3, code: Tensor, parent: Tensor, stage: int = 0) -> Tried:
        tried = Tried(pose, code, self.loss(pose, code, self.views[stage]), parent)
        self.trace.append(tried.step(f"starts at {self.settings.sides[stage]}"))
        return tried

    def loss(self, pose: SE3, code: Tensor, at: View) -> Float[Tensor, "k"]:
        """The loss of poses with codes at a size."""
        losses, target, weight = [], at.observed, at.weight[:, None]
        for rows in torch.arange(len(pose)).split(max(1, _CHUNK // len(target))):
            shown = at.shown(pose[rows], None, code[rows])
            losses.append(image_loss(self.settings.loss, weight * shown + (1 - weight) * target, target, at.shape))
        return torch.cat(losses)

    def _halve(self, tried: Tried, space: CodeSpace | None) -> Tried:
        s = self.settings
        for k, (side, keep, steps) in enumerate(zip(s.sides, s.keep, s.steps, strict=True)):
            with self.meter.stage(f"{side} px"):
                tried = self._settled(self._apart(tried, keep), space, self.views[k], steps)
                if k == 0 and space is not None and s.closest:
                    tried = self._closest(tried, space)
                self.trace.append(tried.step(f"after {side}"))
        return tried

    def _apart(self, tried: Tried, keep: int) -> Tried:
        """The best, none beside a better one."""
        s, length = self.settings, float((tried.pose.center - self.middle).norm(dim=-1).median())
        chosen = suppress(
            Candidates(tried.pose, -tried.loss, torch.arange(len(tried.loss))),
            keep,
            s.apart_deg,
            s.apart_shift * length,
        )
        return tried.take(chosen.parent)

    def _settled(self, tried: Tried, space: CodeSpace | None, at: View, steps: int) -> Tried:
        s, codes = self.settings, Codes(tried.code, space)
        share = len(at.observed) / len(self.views[-1].observed)
        strength = s.code_strength * share
        term = photo_term(self.scene, at, codes, Robust("cauchy", s.robust), strength, around(at, s.margin))
        steps_ = LMSettings(steps=steps, damping=1e-2, policy="decrease", trust=0.5, stop=s.stop)
        length = float((self.scene.bounds[1] - self.scene.bounds[0]).norm()) / 2
        end = levenberg_marquardt(term, tried.pose, steps_, length=length, extra=codes.start(), pivot=self.middle)
        code = codes.at(end.extra, torch.arange(len(tried.loss)))
        return Tried(end.cam_from_world, code, self.loss(end.cam_from_world, code, at), tried.parent)

    def _closest(self, tried: Tried, space: CodeSpace) -> Tried:
        """The two best poses with the learned codes that are nearest to theirs, where one of these fits better."""
        best = tried.loss.argsort()[:2]
        for row in best.tolist():
            at = space.coordinates(tried.code[row : row + 1])
            near = (space.coordinates(space.codes) - at).norm(dim=1).argsort()[: self.settings.closest]
            pose = tried.pose[torch.full((len(near),), row)]
            loss = self.loss(pose, space.codes[near], self.views[0])
            first = int(loss.argmin())
            if loss[first] < tried.loss[row]:
                tried.code[row], tried.loss[row] = space.codes[near[first]], loss[first]
        return tried

    def _adam(self, tried: Tried, space: CodeSpace | None) -> Tried:
        """Every start, with its best code, all the way."""
        chosen, at = tried.best_of(tried.parent.unique()), self.views[-1]

        def report(step: int, pose: SE3, loss: Tensor) -> None:
            self.trace.append(Step(f"adam {step}", pose, loss))

        codes = Codes(chosen.code, space)
        with self.meter.stage("adam"):
            pose, coordinates = descend(at, chosen.pose, codes, self.settings, self.middle, report)
        code = codes.at(coordinates, torch.arange(len(pose)))
        return Tried(pose, code, self.loss(pose, code, at), chosen.parent)

    def _judge(
        self, hypotheses: Hypotheses, starts: Tried, ended: Tried, space: CodeSpace | None, errors: ErrorModel
    ) -> Estimate:
        """Least loss first; what is no better than where it started stays there."""
        at = self.views[-1]
        begun = starts.best_of(ended.parent)
        before, after = self.loss(begun.pose, begun.code, at), self.loss(ended.pose, ended.code, at)
        better = after < before
        pose = where(better, ended.pose, begun.pose)
        code, loss = torch.where(better[:, None], ended.code, begun.code), torch.minimum(after, before)
        if not bool(loss.isfinite().any()):
            return Estimate(Status.NON_FINITE)
        loss = loss.nan_to_num(torch.inf)
        information = self._information(pose, code, space, errors)
        joined = replace(
            hypotheses.take(ended.parent), cam_from_world=pose, code=code, information=information, camera=None
        )
        # In the published scale, squares of colours in [−1, 1] are four times those in [0, 1].
        variance = 4 * errors.residual**2 if self.settings.loss == "mse" else max(float(loss.min()), 1e-6)
        extent = float((self.scene.bounds[1] - self.scene.bounds[0]).norm())
        found, index = modes(joined, loss, variance, errors.independent, extent)
        first, mass = int(index[0]), found.log_weight.exp()
        assert found.code is not None
        whole = replace(at, scene=self.scene.of(found.code[0]))
        status = status_of(
            finite=bool(loss[first].isfinite()),
            agreement=float(agreement(whole, found.cam_from_world[:1]).colour[0]),
            model=errors,
            improved=bool(better[first]),
            second_mass=float(mass[1]) if len(mass) > 1 else 0.0,
        )
        losses = float(loss[first]), float(before[first])
        return Estimate(status, found, trace=tuple(self.trace), loss=losses)

    def _information(
        self, pose: SE3, code: Tensor, space: CodeSpace | None, errors: ErrorModel
    ) -> Float[Tensor, "h 6 6"]:
        """Of the pose, the code eliminated, as if only `errors.independent` pixels had errors of their own."""
        at, codes = self.views[-1], Codes(code, space)
        robust, index = Robust("cauchy", self.settings.robust), around(at, self.settings.margin)
        term = photo_term(self.scene, at, codes, robust, 0.0, index)
        normal = term(State(pose, codes.start(), torch.arange(len(pose)), 0))
        strength = errors.independent / len(index) / errors.residual**2
        matrix = strength * normal.matrix
        if space is not None:
            free = matrix[:, 6:, 6:] + torch.eye(len(space.axes), dtype=matrix.dtype)
            matrix = matrix[:, :6, :6] - matrix[:, :6, 6:] @ torch.linalg.solve(free, matrix[:, 6:, :6])
        distance = float((pose.center - self.middle).norm(dim=-1).median())
        turn = 0.3 * errors.turn_rad
        return with_floor(matrix, turn, 0.3 * errors.shift if errors.shift > 0 else turn * distance).float()
