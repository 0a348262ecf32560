"""A sequence of frames and one or several objects in, the camera's path out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Bool
from torch import Tensor

from resect.errors import ResectError
from resect.geometry.symmetry import Symmetries
from resect.protocols import Prior, Refiner, Scene
from resect.tracking.masks import MaskFollower, MaskSettings
from resect.tracking.recut import Recut, outline
from resect.tracking.sequence import Track, combine
from resect.tracking.settings import TrackSettings
from resect.tracking.smooth import SmoothSettings
from resect.tracking.tracker import Fate, TrackedFrame, Tracker
from resect.types import Hypotheses, Photo, Status

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class TrackedObject:
    """One static object.

    Attributes:
        scene: what it looks like, in its own frame.
        refiner: finds its pose from a few guesses.
        prior: guesses where nothing is known: in its first frame, and where it was lost.
        start: guesses for its first frame, in place of the prior's.
        mask: (h, w), of its first frame: it is then cut out of every frame by colour.
        masks: how.
        first: number of the frame that it is first looked for in.
        target: adds what a detector says of a frame (a box or mask), for the prior.
        symmetries: motions that leave the object looking the same: the world keeps the one it started with.
    """

    scene: Scene
    refiner: Refiner
    prior: Prior | None = None
    start: Hypotheses | None = None
    mask: Bool[Tensor, "h w"] | None = None
    masks: MaskSettings | None = None
    first: int = 0
    target: Callable[[Photo], Photo] | None = None
    symmetries: Symmetries = field(default_factory=Symmetries)


def track(
    load: Callable[[int], Photo],
    seconds: Sequence[float],
    objects: Sequence[TrackedObject],
    settings: TrackSettings | None = None,
    smoothing: SmoothSettings | None = None,
    *,
    smoothed: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Track:
    """Follows all objects through all frames, one frame in memory at a time, then solves the path.

    Args:
        load: reads frame number k; all must have the same size and a known camera.
        seconds: increasing time stamps, one a frame.
        objects: the first is the world.
        settings: how to follow. Its per-frame noise is taken per median frame interval.
        smoothing: how the path is held together.
        smoothed: whether to smooth at all.
        seed: of the priors.
        progress: called with (frames done, frames, remark).
    """
    if not objects:
        raise ResectError("track", "at least one object", "none")
    time = torch.tensor(list(seconds), dtype=torch.float64)
    if not len(time):
        raise ResectError("track", "at least one frame", "none")
    if not bool((time.diff() > 0).all()):
        raise ResectError("track: time stamps", "increasing ones", "others", "Sort the frames, or leave the times out.")
    for k, each in enumerate(objects):
        if not 0 <= each.first < len(time):
            raise ResectError(f"object {k}", f"a first frame from 0 to {len(time) - 1}", str(each.first))
    beat = float(time.diff().median()) if len(time) > 1 else 1.0
    runs = [
        _Run(each, Tracker(each.scene, each.refiner, each.prior, settings, seed, each.symmetries)) for each in objects
    ]
    frames: list[list[TrackedFrame]] = [[] for _ in objects]
    for k in range(len(time)):
        photo = load(k)
        for found, run in zip(frames, runs, strict=True):
            found.append(run.step(k, photo, float(time[k] - time[0]) / beat))
        if progress is not None:
            progress(k + 1, len(time), " ".join(found[-1].fate.name for found in frames))
    return combine(frames, smoothing, smoothed=smoothed)


class _Run:
    """An object, its tracker, and its mask once its first frame was seen."""

    def __init__(self, each: TrackedObject, tracker: Tracker) -> None:
        self.each, self.tracker = each, tracker
        self.masks: MaskFollower | None = None

    def step(self, k: int, photo: Photo, beats: float) -> TrackedFrame:
        each = self.each
        if k < each.first:
            return TrackedFrame(photo.name, beats, Fate.LOST, Status.NO_HYPOTHESIS)
        if k == each.first and each.mask is not None:
            self.masks = MaskFollower(photo, each.mask, each.masks)
        start = each.start if k == each.first else None
        if self.masks is None:
            return self.tracker.step(photo if each.target is None else each.target(photo), beats, start)
        known = each.mask if k == each.first and not self.masks.settings.rough else None
        again = partial(self.masks.cut, photo)
        self.tracker.refiner = Recut(each.refiner, again, 0 if known is not None else self.masks.settings.again)
        frame = self.tracker.step(self.masks.cut(photo, known), beats, start)
        if frame.cam_from_world is not None:
            self.masks.learn(photo, outline(each.scene, photo, frame.cam_from_world))
        return frame
