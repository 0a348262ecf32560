"""What a report shows of one photo, whether it comes from a scored file or from answers just given."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from resect.errors import ResectError
from resect.evaluation import wording
from resect.evaluation.pictures import Painter
from resect.evaluation.pose_file import pose_from_numbers
from resect.evaluation.predict import best_path
from resect.evaluation.run_folder import Run
from resect.evaluation.score import Score
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Estimate, Photo, PhotoSet

_THUMB = (24, 18)
_MOST_COMPARED = 200


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training photo that a failed one could be compared with.

    Attributes:
        name: of the photo.
        caption: how near it is.
        load: reads it.
    """

    name: str
    caption: str
    load: Callable[[], Photo]


@dataclass(frozen=True, eq=False)
class Case:
    """One photo in a report.

    Attributes:
        photo: name.
        status: how it ended.
        load: reads the photo; `None` where there is only its name.
        camera: that the answer was made with.
        path: where the best hypothesis stood, start first, the answer last.
        answered: whether there is a pose.
        solved: whether the pose is right; `None` without truth.
        rotation_deg: error, if there is a truth.
        translation: error in world units, if there is a truth.
        seconds: what it took.
        modes: how many poses were given.
        mass: of the best mode.
        source: where its start came from.
        oracle: whether the start was made from the truth.
        neighbours: near training photos, for failures.
        paint: draws what this photo is of, where that is not what the others are of.
    """

    photo: str
    status: str
    load: Callable[[], Photo] | None
    camera: Camera | None
    path: tuple[SE3, ...]
    answered: bool
    solved: bool | None = None
    rotation_deg: float | None = None
    translation: float | None = None
    seconds: float | None = None
    modes: int = 0
    mass: float | None = None
    source: str = ""
    oracle: bool = False
    neighbours: tuple[Neighbour, ...] = ()
    paint: Painter | None = None


def cases_of_score(score: Score, photos: PhotoSet | None = None, run: Run | None = None) -> tuple[Case, ...]:
    """Cases of a scored file.

    Args:
        score: of the file.
        photos: to show; without them there are only numbers.
        run: of the answers, whose log knows the way from start to answer.
    """
    index = {} if photos is None else {name: i for i, name in enumerate(photos.names)}
    log = {str(e.get("photo")): e for e in run.log} if run is not None else {}
    held_out = {p.photo for p in score.photos}
    found = []
    for photo, solved in zip(score.photos, score.solved.tolist(), strict=True):
        i, entry = index.get(photo.photo), log.get(photo.photo, {})
        path = _logged_path(entry)
        if photo.cam_from_world is not None:
            path = (*path, photo.cam_from_world)
        near: tuple[Neighbour, ...] = ()
        if photos is not None and not solved:
            near = _near_truth(photos, held_out, photo.truth, score)
        found.append(
            Case(
                photo.photo, photo.status, None if photos is None or i is None else _loader(photos, i),
                None if photos is None or i is None else photos.cameras[i], path, photo.ok, solved, photo.rotation_deg,
                photo.translation, photo.seconds, photo.modes, photo.mass, str(entry.get("source") or ""),
                photo.oracle, near,
            )
        )  # fmt: skip
    return tuple(found)


def cases_of_answers(answers: Sequence[tuple[Photo, Estimate]], training: PhotoSet | None = None) -> tuple[Case, ...]:
    """Cases of answers without truth.

    Args:
        answers: new photos and what was found.
        training: photos that the scene was learned from; the most similar are shown beside failures.
    """
    found = []
    for photo, estimate in answers:
        modes, pose = estimate.modes, estimate.cam_from_world
        path = tuple(best_path(estimate.trace)) + (() if pose is None else (pose.double(),))
        mass = None if modes is None or pose is None else float(modes.log_weight.double().softmax(0)[0])
        near = () if estimate.ok or training is None else _look_alikes(photo, training)
        found.append(
            Case(
                photo.name, estimate.status.name, _always(photo), estimate.camera or photo.camera, path, estimate.ok,
                seconds=estimate.cost.seconds, modes=0 if modes is None else len(modes), mass=mass,
                source=modes.source[0] if modes is not None and modes.source else "",
                oracle=modes is not None and modes.oracle, neighbours=near,
            )
        )  # fmt: skip
    return tuple(found)


def _loader(photos: PhotoSet, index: int) -> Callable[[], Photo]:
    return lambda: photos.load(index)


def _always(photo: Photo) -> Callable[[], Photo]:
    return lambda: photo


def _logged_path(entry: Mapping[str, Any]) -> tuple[SE3, ...]:
    """Poses of a log line; a line that was tampered with shows no way rather than a wrong one."""
    found, trace = [], entry.get("trace")
    for moment in trace if isinstance(trace, list) else ():
        try:
            numbers = [float(x) for x in moment["cam_from_world"]]
            if len(numbers) != 7 or not all(map(math.isfinite, numbers)):
                return ()
            found.append(pose_from_numbers(numbers, "log.jsonl"))
        except (TypeError, KeyError, ValueError):
            return ()
    return tuple(found)


def _near_truth(
    photos: PhotoSet, held_out: set[str], truth: SE3, score: Score, count: int = 3
) -> tuple[Neighbour, ...]:
    """The training photos taken from nearest, a radian counting as much as the scene's scale."""
    index = [i for i, name in enumerate(photos.names) if name not in held_out]
    if not index:
        return ()
    cameras = photos.truth.cam_from_world.double()[index]
    angle = so3.angle(cameras.R, truth.R.expand_as(cameras.R))
    distance = (cameras.center - truth.center).norm(dim=-1)
    order = (angle + distance / (score.scene_scale or 1.0)).argsort()[:count].tolist()
    found = []
    for k in order:
        apart = wording.length(float(distance[k]), score.meters_per_unit)
        caption = f"{wording.angle(math.degrees(angle[k]))} and {apart} away"
        found.append(Neighbour(photos.names[index[k]], caption, _loader(photos, index[k])))
    return tuple(found)


def _look_alikes(photo: Photo, training: PhotoSet, count: int = 3) -> tuple[Neighbour, ...]:
    """The training photos with the most similar thumbnails."""
    stride = max(1, -(-len(training) // _MOST_COMPARED))
    mine, likeness = _thumbnail(photo.image), []
    for i in range(0, len(training), stride):
        try:
            likeness.append((float((mine * _thumbnail(training.load(i).image)).sum()), i))
        except (ResectError, OSError):
            continue
    best = sorted(likeness, reverse=True)[:count]
    return tuple(Neighbour(training.names[i], f"likeness {value:.2f}", _loader(training, i)) for value, i in best)


def _thumbnail(image: Float[Tensor, "h w 3"]) -> Float[Tensor, "n"]:
    """Grey, tiny, with mean zero and length one: the product of two is their correlation."""
    grey = image.float().mean(-1)[None, None]
    small = torch.nn.functional.interpolate(grey, (_THUMB[1], _THUMB[0]), mode="area").flatten()
    return torch.nn.functional.normalize(small - small.mean(), dim=0)
