"""ModelNet10-SO(3) as released: rendered CAD models at uniform rotations.

    <root>/{train_100V,train_20V,test_20V}.Rawjpg.lmdb/{data.mdb,viewID2quat.pkl}

`data.mdb` maps the name of a view, "<class>_<number>", to a JPEG on white, `viewID2quat.pkl` to a quaternion wxyz.
Neither the camera nor which way the rotation goes is published; it is taken for `cam_from_obj`, as by everyone.

Reference: Liao, Gavves, Snoek, "Spherical regression", CVPR 2019.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.image import MAX_PIXELS
from resect.data.rotation_set import RotationSet
from resect.data.rotations.arrays import CLASSES
from resect.data.rotations.key_value_file import KeyValueFile
from resect.data.rotations.plain_pickle import read_plain_pickle
from resect.errors import ResectError, unknown_name
from resect.geometry import so3
from resect.types import Photo, Target

PARTS = {"train": "train_100V", "limited": "train_20V", "test": "test_20V"}
"""Split → name in the release: 100 or 20 views of each training model, 20 of each test model."""
_SUFFIX = ".Rawjpg.lmdb"
_KINDS = CLASSES["cat_ids"]
_FIX = "Unpack the release again."


def fits_modelnet(folder: Path) -> bool:
    """Whether a folder is that of the release."""
    return any((folder / (part + _SUFFIX)).is_dir() for part in PARTS.values())


def read_modelnet(root: Path, split: str = "train") -> RotationSet:
    """Reads a part of the release; pictures are decoded when asked for.

    Raises:
        ResectError: an unknown split, a missing file, or a label that is no quaternion, naming the view.
    """
    if split not in PARTS:
        raise unknown_name("split", split, PARTS)
    folder = root / (PARTS[split] + _SUFFIX)
    pictures = KeyValueFile(folder)
    labels = read_plain_pickle(folder / "viewID2quat.pkl")
    if not isinstance(labels, dict) or not labels:
        raise ResectError(folder / "viewID2quat.pkl", "a table of quaternions by view", type(labels).__name__, _FIX)
    names = tuple(str(name) for name in labels)
    categories = tuple(_kind(folder, name) for name in names)
    wxyz = _quaternions(folder / "viewID2quat.pkl", list(labels.values()), names)

    def load(i: int) -> Photo:
        try:
            image = _decoded(pictures[names[i].encode()], names[i])
        except KeyError:
            fix = "Unpack the release again: labels and pictures do not belong together."
            raise ResectError(f"{pictures.path}: {names[i]}", "a picture", "none", fix) from None
        height, width = image.shape[:2]
        target = Target(categories[i], category=categories[i], box=(0.0, 0.0, float(width), float(height)))
        return Photo(names[i], image, target=target)

    return RotationSet("modelnet", names, categories, so3.from_quaternion(wxyz), load)


def _kind(folder: Path, name: str) -> str:
    kind = next((k for k in _KINDS if name.startswith(k + "_")), None)
    if kind is None:
        fix = "Only the ten classes of the release are known; write a rotations.csv for others."
        raise ResectError(f"{folder}: {name}", f"a view of {', '.join(_KINDS)}", "another name", fix)
    return kind


def _quaternions(path: Path, values: list[Any], names: tuple[str, ...]) -> Float[Tensor, "n 4"]:
    try:
        found = np.array([np.asarray(value, dtype=np.float64).reshape(4) for value in values])
    except (TypeError, ValueError):
        fix = "Labels are quaternions, w first; unpack the release again."
        raise ResectError(path, "four numbers for each view", "others", fix) from None
    length = np.linalg.norm(found, axis=1)
    bad = ~(np.abs(length - 1) < 1e-2)
    if bad.any():
        name = names[int(bad.argmax())]
        fix = "Correct the label, or leave the view out."
        raise ResectError(f"{path}: {name}", "a quaternion of length 1", f"length {length[bad.argmax()]:.4g}", fix)
    return torch.from_numpy(found)


def _decoded(data: bytes, name: str) -> Float[Tensor, "h w 3"]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > MAX_PIXELS:
                fix = "Make it smaller."
                raise ResectError(name, f"at most {MAX_PIXELS} pixels", f"{image.width}x{image.height}", fix)
            return torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32) / np.float32(255))
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, ResectError):
            raise
        raise ResectError(name, "a whole picture", str(error) or type(error).__name__, _FIX) from None
