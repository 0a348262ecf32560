"""Any dataset of images with rotations: the format is found out and said."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from resect.data.instances import is_instances, read_instances
from resect.data.object_set import ObjectSet
from resect.data.objects import fits_objects, read_objects, read_training_objects
from resect.data.rotation_set import RotationSet
from resect.data.rotations.arrays import read_rotation_arrays
from resect.data.rotations.instances import rotations_of_views
from resect.data.rotations.mixed import mixed
from resect.data.rotations.modelnet import fits_modelnet, read_modelnet
from resect.data.rotations.objects import rotations_of
from resect.data.rotations.pascal3d import fits_pascal3d, read_pascal3d
from resect.data.rotations.rendered_crops import read_rendered_crops
from resect.data.rotations.solids import fits_solids, read_solids
from resect.data.rotations.spacecraft import fits_spacecraft, read_spacecraft
from resect.data.rotations.table import ROTATIONS_FILE, read_rotation_table
from resect.errors import ResectError, unknown_name

RENDERED = "+rendered"
_USUAL = ("train", "val", "test")


def read_rotations(path: Path | str, split: str = "train") -> RotationSet:
    """Images with rotations.

    Args:
        path: a folder with `rotations.csv`, or with one such folder a split; an `.npz` file with `imgs` and `rots`;
            SYMSOL, ModelNet10-SO(3), PASCAL3D+, SPEED+ as released; photos of known objects (BOP, PoseCNN); views of
            the instances of a category.
        split: "train", "test", or another that the format has; "DOMAIN/SPLIT" for SPEED+, "train+rendered" for
            PASCAL3D+ with three rendered crops for each photo, "train:sphereX" for shapes of SYMSOL by name, which are
            those of set I otherwise. Files and folders without parts are read whole.

    Raises:
        ResectError: none of these, or bad input, naming the file and the entry.
    """
    path = Path(path)
    if path.suffix == ".npz":
        return _whole(read_rotation_arrays(path), split)
    if (path / ROTATIONS_FILE).is_file():
        return _whole(read_rotation_table(path), split)
    if (path / split / ROTATIONS_FILE).is_file():
        return read_rotation_table(path / split)
    if fits_solids(path):
        part, _, shapes = split.partition(":")
        return read_solids(path, part, shapes.split(",") if shapes else ())
    if fits_modelnet(path):
        return read_modelnet(path, split)
    if fits_pascal3d(path):
        real = read_pascal3d(path, split.removesuffix(RENDERED))
        return mixed(real, read_rendered_crops(path), 3.0) if split.endswith(RENDERED) else real
    if fits_spacecraft(path):
        domain, _, part = split.rpartition("/")
        return read_spacecraft(path, domain or "synthetic", part)
    if fits_objects(path):
        return rotations_of(_objects(path, split))
    if is_instances(path):
        return _whole(rotations_of_views(read_instances(path)), split)
    parts = sorted(p.parent.name for p in path.glob(f"*/{ROTATIONS_FILE}"))
    if parts:
        raise unknown_name(f"{path}: split", split, parts)
    known = "SYMSOL, ModelNet10-SO(3), PASCAL3D+, SPEED+, known objects, or views of instances"
    expected = f"{ROTATIONS_FILE}, an .npz file, {known}"
    fix = "Write such a folder with 'resect data rotations', or point at the dataset's own."
    raise ResectError(path, expected, "none of these" if path.exists() else "no such path", fix)


def _whole(found: RotationSet, split: str) -> RotationSet:
    """Data without parts; that one was asked for by a name of its own is noted."""
    if split in _USUAL:
        return found
    return replace(found, notes=(*found.notes, f"there are no parts, and so no '{split}': all images are taken"))


def _objects(path: Path, split: str) -> Mapping[str, ObjectSet]:
    """Known objects by what a part is for; a dataset's own name of one is taken too."""
    if split == "train":
        return read_training_objects(path)
    return read_objects(path, split=None if split == "test" else split)
