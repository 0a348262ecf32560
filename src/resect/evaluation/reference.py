"""What answers are judged against: true poses by photo name, the scene's scale, and which photos count."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.split import load_split, make_split
from resect.errors import ResectError
from resect.evaluation.pose_file import PoseList, read_poses
from resect.evaluation.run_folder import read_run, run_folder
from resect.geometry.se3 import SE3
from resect.metrics.pose import scene_scale
from resect.types import PhotoSet, Split


@dataclass(frozen=True, eq=False)
class Reference:
    """True poses of the photos that count.

    Attributes:
        names: of the photos; every one is in the denominator.
        cam_from_world: their true poses, float64.
        scene_scale: world units; see `metrics.pose.scene_scale`.
        meters_per_unit: length of a world unit, if known.
        symmetries: see `metrics.pose.pose_errors`.
        notes: how photos and scale were chosen, where that was not given.
    """

    names: tuple[str, ...]
    cam_from_world: SE3
    scene_scale: float
    meters_per_unit: float | None
    symmetries: Float[Tensor, "s 3 3"] | None = None
    notes: tuple[str, ...] = field(default=())


def reference_from_list(truth: Path, train: Path | None = None) -> Reference:
    """True poses from a published list or a Pose file.

    Args:
        truth: of the test photos.
        train: of the training photos, which the scene's scale is taken from; without it, from the test photos.
    """
    found = read_poses(truth)
    names, poses = _answered(found)
    notes = list(found.notes)
    if train is None:
        notes.append("The scene's scale is that of the true poses of the test photos, as no training poses were given.")
    _, cameras = (names, poses) if train is None else _answered(read_poses(train))
    meters = 1.0 if found.unit == "m" else None
    return Reference(tuple(names), poses, scene_scale(cameras), meters, notes=tuple(notes))


def _answered(found: PoseList) -> tuple[list[str], SE3]:
    best = [(r.photo, r.cam_from_world) for r in found.rows if r.mode == 0 and r.cam_from_world is not None]
    if not best:
        raise ResectError(found.format, "at least one pose", "none")
    return [name for name, _ in best], SE3.stack([pose for _, pose in best])


def reference_from_photos(photos: PhotoSet, split: Split, which: str = "test", notes: Sequence[str] = ()) -> Reference:
    """True poses of one half of a split ("test", "train" or "all"); the scale is that of the training half."""
    index = {"test": split.test, "train": split.train}.get(which, tuple(range(len(photos))))
    truth = photos.truth.cam_from_world.double()
    scale = scene_scale(truth[list(split.train or split.test)])
    names = tuple(photos.names[i] for i in index)
    poses = truth[list(index)]
    return Reference(names, poses, scale, photos.world.meters_per_unit, photos.truth.symmetries, tuple(notes))


def reference_for(poses: Path, answered: PoseList, photos: PhotoSet) -> Reference:
    """The photos that a Pose file had to answer: those of its run's split, else of the split that is usual here."""
    run, written = read_run(poses), run_folder(poses) / "split.json"
    if run is not None and written.is_file():
        which = run.settings.get("data", {}).get("which", "test")
        return reference_from_photos(photos, load_split(written, photos), str(which))
    named = set(match_names([r.photo for r in answered.rows], photos.names).values())
    if len(photos) > 1:
        split = make_split(photos)
        if named <= {photos.names[i] for i in split.test}:
            note = f"The file does not say which photos were held out; split '{split.rule}' was taken."
            return reference_from_photos(photos, split, notes=(note,))
    index = tuple(i for i, name in enumerate(photos.names) if name in named)
    rest = tuple(i for i in range(len(photos)) if i not in set(index))
    note = "The file does not say which photos were held out; only those it names were judged."
    return reference_from_photos(photos, Split(rest, index, "named"), notes=(note,))


def match_names(found: Sequence[str], true: Sequence[str]) -> dict[str, str]:
    """Name in a file → name in the truth: as they are, else without suffix, else without folders too.

    The first way that is unambiguous and finds any photo is taken for all; names without a partner are left out.
    """
    for mine, their in _SIMPLER:
        theirs = {their(name): name for name in true}
        ours = {mine(name) for name in set(found)}
        if len(theirs) == len(set(true)) and len(ours) == len(set(found)) and ours & theirs.keys():
            return {name: theirs[mine(name)] for name in found if mine(name) in theirs}
    return {}


def _same(name: str) -> str:
    return name


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _without_suffixes(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(path.name.split(".")[0] or path.name))


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _first_stem(name: str) -> str:
    return PurePosixPath(name).name.split(".")[0]


_SIMPLER = (
    (_same, _same),
    (_without_suffix, _without_suffix),
    (_same, _stem),  # a trajectory's time stamps are the stems of its images
    (_stem, _same),
    (_without_suffixes, _without_suffixes),
    (_stem, _stem),
    (_first_stem, _first_stem),
)


def in_world_units(pose: SE3, unit: str, meters_per_unit: float | None) -> tuple[SE3, float]:
    """A pose from a file in the truth's units, and the factor by which its lengths were changed."""
    factor = 1 / meters_per_unit if unit == "m" and meters_per_unit else 1.0
    return SE3(pose.R, pose.t * factor), factor


def scaled_covariance(covariance: Float[Tensor, "6 6"], factor: float) -> Float[Tensor, "6 6"]:
    """The covariance of (v, ω) when lengths are multiplied by `factor`."""
    scale = torch.tensor([factor] * 3 + [1.0] * 3, dtype=covariance.dtype)
    return covariance * scale[:, None] * scale
