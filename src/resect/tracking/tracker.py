"""One static object followed through frames: predict, refine, gate, and start again where it was lost."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3, pivot
from resect.geometry.symmetry import Symmetries
from resect.protocols import Prior, Refiner, Scene
from resect.tracking.motion import Belief, MotionNoise, begin, innovation, predict, update
from resect.tracking.settings import TrackSettings
from resect.types import Cost, Estimate, Hypotheses, Photo, Status


class Fate(Enum):
    """What became of a frame: (has a pose, what happened)."""

    FOUND = (True, "The object was found without knowing where it was before.")
    FOLLOWED = (True, "The pose follows from the frames before.")
    OUTLIER = (False, "A pose was found, but it does not follow from the frames before.")
    LOST = (False, "No pose was found.")

    def __init__(self, ok: bool, sentence: str) -> None:
        self.ok, self.sentence = ok, sentence


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """One frame's answer.

    Attributes:
        name: of the photo.
        seconds: its time stamp.
        fate: what became of it.
        status: the refiner's.
        cam_from_world: as measured in this frame alone, float64; `None` unless `fate.ok`.
        covariance: of δ in exp(δ) @ cam_from_world.
        surprise: squared Mahalanobis distance from the prediction, where there was one.
        cost: what it took.
    """

    name: str
    seconds: float
    fate: Fate
    status: Status
    cam_from_world: SE3 | None = None
    covariance: Float[Tensor, "6 6"] | None = None
    surprise: float | None = None
    cost: Cost = field(default_factory=Cost)


class Tracker:
    """Follows one object; what a robot keeps warm.

    Args:
        scene: the object.
        refiner: finds its pose from a few guesses.
        prior: guesses for a frame of which nothing is known; without one, key-frames are all there is.
        settings: how to follow.
        seed: of the prior's guesses.
        symmetries: of the object. Of poses that look the same, the one nearest to the last is meant, so that the world
            does not turn where a box is seen from another side.
    """

    def __init__(
        self,
        scene: Scene,
        refiner: Refiner,
        prior: Prior | None = None,
        settings: TrackSettings | None = None,
        seed: int = 0,
        symmetries: Symmetries | None = None,
    ) -> None:
        self.scene, self.refiner, self.prior = scene, refiner, prior
        self.symmetries = symmetries or Symmetries()
        self.settings, self.seed = settings or TrackSettings(), seed
        self.belief: Belief | None = None
        self.keyframes: list[SE3] = []
        self.last: SE3 | None = None
        self.missed = 0
        bounds = scene.bounds.double()
        self._middle, self._half_diagonal = bounds.mean(0), 0.5 * float((bounds[1] - bounds[0]).norm())

    def step(self, photo: Photo, seconds: float, start: Hypotheses | None = None) -> TrackedFrame:
        """The next frame.

        Args:
            photo: with a known camera.
            seconds: later than the frame before.
            start: guesses to use instead of the prediction, for the first frame or to set right.
        """
        cost = Cost()
        frame, expected = TrackedFrame(photo.name, seconds, Fate.LOST, Status.NO_HYPOTHESIS), None
        if self.belief is not None and start is None:
            expected = predict(self.belief, seconds, self._noise(self.belief.cam_from_world))
            answer = self.refiner.refine(self.scene, photo, _around(expected, self.belief.cam_from_world))
            cost = cost + answer.cost
            frame = self._judge(photo, seconds, answer, expected, gated=True)
        if not frame.fate.ok and (start is not None or self.belief is None or self.missed >= self.settings.patience):
            guesses = start if start is not None else self._anew(photo)
            if len(guesses):
                answer = self.refiner.refine(self.scene, photo, guesses)
                cost = cost + answer.cost
                frame = self._judge(photo, seconds, answer, expected, gated=False)
        self._remember(frame)
        return replace(frame, cost=cost)

    def _judge(
        self, photo: Photo, seconds: float, answer: Estimate, expected: Belief | None, *, gated: bool
    ) -> TrackedFrame:
        """The mode that fits the prediction best, or none; what was searched for anew need not be near it."""
        if not answer.ok or answer.modes is None:
            return TrackedFrame(photo.name, seconds, Fate.LOST, answer.status)
        poses = answer.modes.cam_from_world.double()
        # exp(δ) is on the camera's side, the symmetry on the object's: covariances stay as they are.
        covariance = self._covariances(answer.modes)
        if self.last is not None:
            poses = self.symmetries.nearest(poses, self.last if expected is None else expected.cam_from_world)
        if expected is None:
            return TrackedFrame(photo.name, seconds, Fate.FOUND, answer.status, poses[0], covariance[0])
        _, surprise = innovation(expected, poses, covariance)
        best = int((answer.modes.log_weight.double() - 0.5 * surprise).argmax())
        if not gated:
            return TrackedFrame(photo.name, seconds, Fate.FOUND, answer.status, poses[best], covariance[best])
        assert self.belief is not None
        jump = float((poses[best].center - self.belief.cam_from_world.center).norm())
        s = self.settings
        if float(surprise[best]) > s.gate or (s.max_jump is not None and jump >= s.max_jump):
            return TrackedFrame(photo.name, seconds, Fate.OUTLIER, answer.status, surprise=float(surprise[best]))
        return TrackedFrame(
            photo.name, seconds, Fate.FOLLOWED, answer.status, poses[best], covariance[best], float(surprise[best])
        )

    def _remember(self, frame: TrackedFrame) -> None:
        if frame.cam_from_world is None or frame.covariance is None:
            self.missed += 1
            if self.missed > self.settings.forget:
                self.belief = None
            return
        self.missed, self.last = 0, frame.cam_from_world
        noise = self._noise(frame.cam_from_world)
        if frame.fate is Fate.FOLLOWED and self.belief is not None:
            expected = predict(self.belief, frame.seconds, noise)
            self.belief = update(expected, frame.cam_from_world, frame.covariance)
        else:
            self.belief = begin(frame.seconds, frame.cam_from_world, frame.covariance, noise)
        self._keep(frame.cam_from_world)

    def _keep(self, pose: SE3) -> None:
        """A key-frame where no other is near."""
        s, distance = self.settings, self._distance(pose)
        for other in self.keyframes:
            turn = float(so3.angle(pose.R, other.R))
            if (
                turn < math.radians(s.keyframe_turn_deg)
                and float((pose.t - other.t).norm()) < s.keyframe_shift * distance
            ):
                return
        self.keyframes = [*self.keyframes, pose][-s.max_keyframes :]

    def _anew(self, photo: Photo) -> Hypotheses:
        """Guesses where nothing is known: the key-frames, latest first, and the prior's."""
        found = []
        if self.keyframes:
            poses = SE3.stack(self.keyframes[::-1]).float()
            source = tuple(f"key-frame:{k}" for k in range(len(poses)))
            found.append(Hypotheses(poses, torch.zeros(len(poses)), source=source))
        if self.prior is not None:
            generator = torch.Generator().manual_seed(self.seed)
            found.append(self.prior.propose(photo, self.settings.count, generator))
        found = [f for f in found if len(f)]
        if not found:
            return Hypotheses(SE3.identity(0), torch.zeros(0))
        if len(found) == 1:
            return found[0]
        poses = SE3.cat([f.cam_from_world.float() for f in found])
        return Hypotheses(poses, torch.cat([f.log_weight.float().log_softmax(0) for f in found]))

    def _distance(self, pose: SE3) -> float:
        """Of the object's middle from the camera; of a place that the camera is in, its half diagonal."""
        return max(self._half_diagonal, float((pose.R @ self._middle + pose.t).norm()))

    def _noise(self, pose: SE3) -> MotionNoise:
        s, distance = self.settings, self._distance(pose)
        turn = math.radians(s.turn_deg)
        return MotionNoise(s.shift * distance, turn, 2 * s.shift * distance, 2 * turn)

    def _covariances(self, modes: Hypotheses) -> Float[Tensor, "h 6 6"]:
        """Of the refiner where it states them; else a typical one about the object's middle."""
        poses = modes.cam_from_world.double()
        if modes.information is not None:
            factor, failed = torch.linalg.cholesky_ex(modes.information.double())
            if not bool(failed.any()):
                return torch.cholesky_inverse(factor)
        s = self.settings
        found = []
        for k in range(len(poses)):
            distance, turn = self._distance(poses[k]), math.radians(s.noise_turn_deg)
            across = 0.25 * s.noise_shift * distance
            diagonal = torch.tensor([across, across, s.noise_shift * distance, turn, turn, turn], dtype=torch.float64)
            carry = pivot((poses[k].R @ self._middle + poses[k].t).double())
            found.append(carry @ torch.diag(diagonal.square()) @ carry.mT)
        return torch.stack(found)


def _around(expected: Belief, last: SE3) -> Hypotheses:
    """The prediction, and the last pose in case the camera stopped, with how well the first is known."""
    information = torch.linalg.inv(expected.pose_covariance).float().expand(2, 6, 6)
    poses = SE3.stack([expected.cam_from_world, last]).float()
    return Hypotheses(poses, torch.tensor([0.0, -1.0]), information, source=("prediction", "last"))


def follow(
    tracker: Tracker, frames: Iterable[tuple[Photo, float]], start: Hypotheses | None = None
) -> tuple[TrackedFrame, ...]:
    """All frames in order; `start` is for the first one."""
    found = []
    for photo, seconds in frames:
        found.append(tracker.step(photo, seconds, start))
        start = None
    return tuple(found)
