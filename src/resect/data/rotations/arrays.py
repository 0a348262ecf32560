"""Images and rotations as arrays in one `.npz` file, as Image2Sphere's code keeps ModelNet10-SO(3) and PASCAL3D+ crops.

`imgs` (N, s, s, 1 or 3) uint8, `rots` (N, 3, 3) `cam_from_obj`, and the class: `cat_ids` (N) of ten or `clss` (N, 1) of
twelve. Nothing is said of the camera.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.types import Photo, Target

PASCAL_KINDS = (
    *("aeroplane", "bicycle", "boat", "bottle", "bus", "car"),
    *("chair", "diningtable", "motorbike", "sofa", "train", "tvmonitor"),
)
CLASSES: dict[str, tuple[str, ...]] = {
    "cat_ids": ("bathtub", "bed", "chair", "desk", "dresser", "monitor", "night_stand", "sofa", "table", "toilet"),
    "clss": PASCAL_KINDS,
}
_MOST_BYTES = 32 << 30


def read_rotation_arrays(path: Path, *, most_bytes: int = _MOST_BYTES) -> RotationSet:
    """Reads such a file; images stay in memory as bytes.

    Args:
        path: the file.
        most_bytes: of all arrays unpacked.

    Raises:
        ResectError: no such file, arrays of other shapes, or an unknown class.
    """
    found = _arrays(path, most_bytes)
    key = next((k for k in CLASSES if k in found), None)
    if key is None:
        fix = "Add cat_ids, numbers 0 to 9 of ModelNet10's classes, or write a rotations.csv."
        raise ResectError(path, "an array cat_ids or clss", f"only {', '.join(sorted(found)) or 'others'}", fix)
    images, rotation, number = found["imgs"], found["rots"], found[key].reshape(-1)
    n = len(images)
    if rotation.shape != (n, 3, 3) or len(number) != n or images.ndim != 4 or images.shape[-1] not in (1, 3):
        got = f"{images.shape}, {rotation.shape}, {found[key].shape}"
        fix = "All images of a file have one size; write a rotations.csv for images of several."
        raise ResectError(path, "imgs (N, h, w, 1 or 3), rots (N, 3, 3) and N classes", got, fix)
    if images.dtype != np.uint8 or number.dtype.kind not in "iu":
        fix = "Store imgs as uint8, 0 to 255, and classes as integers."
        raise ResectError(path, "imgs of bytes and classes of whole numbers", f"{images.dtype} and {number.dtype}", fix)
    if n and not 0 <= number.min() <= number.max() < len(CLASSES[key]):
        got = f"{number.min()} to {number.max()}"
        fix = "Classes are numbered from 0; for others write a rotations.csv, which names them."
        raise ResectError(f"{path}: {key}", f"classes 0 to {len(CLASSES[key]) - 1}", got, fix)
    categories = tuple(CLASSES[key][k] for k in number.tolist())
    names = tuple(f"{path.name}:{i}" for i in range(n))

    def load(i: int) -> Photo:
        image = torch.from_numpy(images[i].astype(np.float32) / 255).expand(-1, -1, 3).contiguous()
        height, width = image.shape[:2]
        whole = (0.0, 0.0, float(width), float(height))
        return Photo(names[i], image, target=Target(categories[i], category=categories[i], box=whole))

    return RotationSet("arrays", names, categories, torch.from_numpy(rotation.astype(np.float64)), load)


def _arrays(path: Path, most_bytes: int) -> dict[str, NDArray[np.generic]]:
    if not path.is_file():
        raise ResectError(path, "an .npz file", "no file", "Check the path.")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > most_bytes:
                fix = "Split it, or write images and a rotations.csv."
                raise ResectError(path, f"at most {most_bytes >> 20} MiB of arrays", f"{size >> 20} MiB", fix)
            there = {name.removesuffix(".npy") for name in archive.namelist()}
            if not {"imgs", "rots"} <= there:
                fix = "Name images imgs and rotations rots, or write a rotations.csv."
                raise ResectError(path, "arrays imgs and rots", ", ".join(sorted(there))[:80] or "none", fix)
            read = [name for name in ("imgs", "rots", *CLASSES) if name in there]
            return {k: np.lib.format.read_array(io.BytesIO(archive.read(f"{k}.npy")), allow_pickle=False) for k in read}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        if isinstance(error, ResectError):
            raise
        fix = "Write it again with numpy.savez; arrays of objects are not read."
        raise ResectError(path, "a whole .npz file of numbers", str(error), fix) from None
