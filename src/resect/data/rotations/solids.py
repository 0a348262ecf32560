"""SYMSOL as released for Image2Sphere: pictures of symmetric solids with all equivalent rotations.

    <split>/images/<shape>_00000.png …
    <split>/rotations.npz        <shape>: (N, k, 3, 3) `cam_from_obj`, all that look alike

The lists of one shape differ by a turn of the camera only, R S with the same k motions S; so the first image's S are
kept, and the first rotation of every image is its label. Nothing is said of the camera.

Reference: Murphy, Esteves, Jampani, Ramalingam, Makadia, "Implicit-PDF", ICML 2021.
"""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from resect.data.image import read_image
from resect.data.rotation_set import RotationSet
from resect.errors import ResectError, unknown_name
from resect.geometry import so3
from resect.types import Photo, Target

SHAPES = ("tet", "cube", "icosa", "cone", "cyl", "tetX", "cylO", "sphereX")
_PLAIN = SHAPES[:5]
_MOST_BYTES = 8 << 30
_FIX = "Unpack the release again."
_PORTION = 256
_SAME = 1e-3


def fits_solids(folder: Path) -> bool:
    """Whether a folder holds the released pictures."""
    return any((folder / split / "rotations.npz").is_file() for split in ("train", "test"))


def read_solids(folder: Path, split: str = "train", shapes: Sequence[str] = (), *, views: int = 0) -> RotationSet:
    """Reads a split.

    Args:
        folder: holds "train" and "test".
        split: which.
        shapes: names; all of set I (unmarked) that are there when empty.
        views: only the first so many images of each shape; 0 is all.
    """
    parts = [part for part in ("train", "test") if (folder / part / "rotations.npz").is_file()]
    if split not in parts:
        raise unknown_name(f"{folder}: split", split, parts)
    path = folder / split / "rotations.npz"
    for name in shapes:
        if name not in SHAPES:
            raise unknown_name("shape", name, SHAPES)
    there = _members(path)
    chosen = [name for name in (shapes or _PLAIN) if name in there or shapes] or [n for n in SHAPES if n in there]
    names: list[str] = []
    categories: list[str] = []
    labels, groups = [], {}
    for name in chosen:
        label, groups[name] = _rotations(path, name, views)
        labels.append(label)
        names += [f"{split}/images/{name}_{i:05d}.png" for i in range(len(label))]
        categories += [name] * len(label)
    if not names:
        raise ResectError(path, f"rotations of {', '.join(SHAPES)}", "none", _FIX)
    rotation = torch.cat(labels)

    def load(i: int) -> Photo:
        image, _ = read_image(folder / names[i])
        height, width = image.shape[:2]
        target = Target(categories[i], category=categories[i], box=(0.0, 0.0, float(width), float(height)))
        return Photo(names[i], image, target=target)

    # Marked shapes come with one rotation alone, though others may look the same.
    known = all(name in _PLAIN for name in chosen)
    return RotationSet(
        "solids",
        tuple(names),
        tuple(categories),
        rotation,
        load,
        equivalents=(lambda i: rotation[i] @ groups[categories[i]]) if known else None,
        notes=() if known else ("equivalent rotations of marked shapes are not in the data",),
    )


def _members(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            names = {name.removesuffix(".npy") for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError) as error:
        raise ResectError(path, "a whole .npz file", str(error), "Copy it again.") from None
    if size > _MOST_BYTES:
        fix = "Is it the file of another dataset?"
        raise ResectError(path, f"at most {_MOST_BYTES >> 30} GiB of arrays", f"{size >> 30} GiB", fix)
    return names


def _rotations(path: Path, name: str, views: int) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "k 3 3"]]:
    """Each image's first rotation, and the motions that all share; a portion of the file is held at a time."""
    labels: list[Tensor] = []
    group = torch.zeros(0, 3, 3, dtype=torch.float64)
    for portion in _portions(path, name, views):
        turned = torch.from_numpy(portion.astype(np.float64))
        if not labels:
            group = turned[0, 0].mT @ turned[0]
        if float((turned[:, :1].mT @ turned - group).abs().max()) > _SAME:
            fix = "Each image lists its rotations in the same order of symmetries; unpack the release again."
            raise ResectError(f"{path}: {name}", "lists R S with the same S for every image", "others", fix)
        labels.append(turned[:, 0])
    if not labels:
        fix = "Unpack the release again, or name other shapes: --split train:cube."
        raise ResectError(f"{path}: {name}", "rotations", "none", fix)
    return so3.nearest_rotation(torch.cat(labels)), so3.nearest_rotation(group)


def _portions(path: Path, name: str, views: int) -> Iterator[NDArray[np.floating]]:
    where = f"{path}: {name}"
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            old = np.lib.format.read_magic(file) == (1, 0)
            header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = header(file)
            if len(shape) != 4 or shape[2:] != (3, 3) or not shape[1] or fortran or dtype.kind != "f":
                raise ResectError(where, "numbers of shape (N, k, 3, 3)", f"{shape} of {dtype}", _FIX)
            count = min(shape[0], views) if views else shape[0]
            for first in range(0, count, _PORTION):
                rows = min(_PORTION, count - first)
                values = np.frombuffer(file.read(rows * shape[1] * 9 * dtype.itemsize), dtype)
                if not np.isfinite(values).all():
                    raise ResectError(where, "finite numbers", "others", _FIX)
                yield values.reshape(rows, shape[1], 3, 3)
    except ResectError:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        fix = "Copy it again, or name shapes that it holds: --split train:cube."
        raise ResectError(where, "a whole array of numbers", str(error), fix) from None
