"""Datasets of known objects, whatever their layout: one `ObjectSet` an object, or all in one flat `PhotoSet`."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from resect.data.bop.folder import bop_splits, fits_bop, read_bop
from resect.data.bop.photos import bop_objects
from resect.data.object_set import ObjectSet
from resect.data.posecnn import fits_posecnn, read_posecnn
from resect.data.props import fits_props, props_splits, read_props
from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.types import Photo, PhotoSet, Truth

OBJECT_FORMATS = ("bop", "posecnn", "props")
"""`PhotoSet.format` of sets whose photos are of objects, each with a target and a world of its own."""


def fits_objects(path: Path) -> bool:
    """Whether a folder holds known objects."""
    return fits_posecnn(path) or fits_props(path) or fits_bop(path)


def read_objects(path: Path | str, *, split: str | None = None) -> dict[str, ObjectSet]:
    """Object id → its photos, in the order of the ids; a BOP dataset, split or scene, PROPS-Pose, or frames as
    PoseCNN has them.

    Args:
        path: the data folder.
        split: which split of a BOP or PROPS-Pose dataset; by default that which is held out.

    Raises:
        ResectError: no such layout, no images, or bad input, naming the file, the image and the object.
    """
    path = Path(path)
    if fits_posecnn(path):
        return read_posecnn(path)
    if fits_props(path):
        return read_props(path, split)
    if fits_bop(path):
        return bop_objects(read_bop(path, split))
    expected = (
        "a BOP dataset (SPLIT/000001/scene_gt.json), PROPS-Pose (val/val_gt.json) or PoseCNN (data/000001-meta.mat)"
    )
    raise ResectError(path, expected, "none of them" if path.is_dir() else "no such folder")


def read_training_objects(path: Path | str, *, split: str | None = None) -> dict[str, ObjectSet]:
    """The same of what may be learned from: the split that is asked for, else one that begins with "train".

    Raises:
        ResectError: also where nothing is asked for and all splits have other names: they are kept for tests.
    """
    path = Path(path)
    if split is None and path.is_dir():
        there = parts_of(path)
        if there and not any(part.startswith("train") for part in there):
            fix = f"To learn from photos kept for tests: --split {there[0]} (rotations: with --held-out every:5)."
            raise ResectError(f"{path}: split", "one to learn from, 'train…'", f"only {', '.join(there)}", fix)
        inside = sorted(p.name for p in path.iterdir() if p.is_dir() and p.name.startswith("train"))
        split = next((name for name in inside if fits_objects(path / name) or fits_props(path)), None)
    return read_objects(path, split=split)


def parts_of(path: Path) -> tuple[str, ...]:
    """Names of a dataset's splits; none where a folder has no parts, such as a split itself."""
    if fits_posecnn(path):
        return ()
    return props_splits(path) if fits_props(path) else bop_splits(path)


def flatten(objects: Mapping[str, ObjectSet]) -> PhotoSet:
    """All photos of all objects in the order image, object, instance; without symmetries, which differ."""
    sets = list(objects.values())
    places = [(o.photos.names[i], natural(o.object_id), i, k) for k, o in enumerate(sets) for i in range(len(o))]
    order = [(k, i) for _, _, i, k in sorted(places)]
    first = sets[0].photos
    poses = SE3.stack([sets[k].photos.truth.cam_from_world[i] for k, i in order])

    def load(index: int) -> Photo:
        k, i = order[index]
        return sets[k].photos.load(i)

    return replace(
        first,
        names=tuple(sets[k].photos.names[i] for k, i in order),
        cameras=tuple(sets[k].photos.cameras[i] for k, i in order),
        truth=Truth(poses),
        world=replace(first.world, bounds=None),
        load=load,
        given_split=None,
    )


def natural(object_id: str) -> tuple[int, str]:
    """Key that sorts numbers as numbers, before names."""
    return (int(object_id), "") if re.fullmatch(r"[0-9]{1,18}", object_id) else (1 << 62, object_id)
