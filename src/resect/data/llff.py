"""LLFF folders: `poses_bounds.npy` and photos at one or more sizes in `images`, `images_4`, `images_8`.

A row is a 3×5 matrix (down, right, backward, centre | height, width, focal), world_from_cam, then the nearest and
farthest depth. Rows follow the sorted photo names. The file has no principal point and no distortion: it was made from
a COLMAP model, whose principal point is the image centre and whose distortion is taken from `sparse/0` where it is
still there. See docs/decisions/llff-principal-point.md.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from resect.data.colmap import read_cameras
from resect.data.gather import Frame, gather
from resect.data.image import SUFFIXES, read_header
from resect.data.rigid import checked_rotation
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.conventions import world_from_cam_llff
from resect.geometry.se3 import SE3
from resect.types import PhotoSet, World

FILE = "poses_bounds.npy"
_FOLDERS = ("images", "images_2", "images_4", "images_8", "images_16")
_MAX_SIDE = 2048
_MAX_BYTES = 1 << 30


def read_llff(root: Path) -> PhotoSet:
    """An LLFF folder; of several image sizes the largest of at most 2048 pixels a side is read."""
    path = root / FILE
    rows = _rows(path)
    folder, names, note = _photos(root, len(rows))
    lens = _lens(root)
    frames = []
    for name, row in zip(names, rows, strict=True):
        matrix = row[:15].reshape(3, 5)
        height, width, focal = matrix[:, 4].tolist()
        where = f"{path}: row of {name}"
        if not (1 <= height < 1e6 and 1 <= width < 1e6 and focal > 0):
            raise ResectError(where, "height, width and focal length", str((height, width, focal)))
        camera = _camera(lens, round(width), round(height), focal)
        world_from_cam = world_from_cam_llff(matrix[:, :4])
        rigid = SE3(checked_rotation(where, world_from_cam.R), world_from_cam.t)
        frames.append(Frame(f"{folder}/{name}", lambda w, h, c=camera: c, rigid.inverse()))  # type: ignore[misc]
    near, far = float(rows[:, 15].min()), float(rows[:, 16].max())
    if not 0 < near < far:
        raise ResectError(path, "bounds 0 < near < far", f"{near} and {far}")
    notes = [note, *(["Lens distortion is taken from sparse/0."] if lens and lens.distortion else [])]
    world = World(depth_range=(near, far))
    return gather(root, "llff", frames, world=world, camera_source=FILE, notes=[n for n in notes if n])


def _rows(path: Path) -> Float[Tensor, "n 17"]:
    import numpy as np

    if path.stat().st_size > _MAX_BYTES:
        raise ResectError(path, "at most 1 GiB", f"{path.stat().st_size >> 20} MiB")
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ResectError(path, "a .npy file with numbers", str(error)) from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.shape[1] != 17 or len(values) < 1:
        raise ResectError(path, "n rows of 17 numbers", str(getattr(values, "shape", type(values).__name__)))
    rows = torch.from_numpy(values.astype(np.float64))
    bad = (~rows.isfinite().all(1)).nonzero().flatten().tolist()
    if bad:
        raise ResectError(path, "finite numbers", f"NaN or infinity in row {bad[0]}")
    return rows


def _photos(root: Path, count: int) -> tuple[str, list[str], str]:
    """The folder to read, its photos, and what to say of the choice."""
    sizes: dict[str, int] = {}
    listed: dict[str, list[str]] = {}
    for folder in _FOLDERS:
        if (root / folder).is_dir():
            names = sorted(p.name for p in (root / folder).iterdir() if p.suffix.lower() in SUFFIXES)
            listed[folder] = names
            if len(names) == count:
                header = read_header(root / folder / names[0])
                sizes[folder] = max(header.width, header.height)
    if not sizes:
        got = ", ".join(f"{len(n)} in {f}" for f, n in listed.items()) or "no images folder"
        fix = "Rows go by sorted photo names, so none may be missing."
        raise ResectError(root, f"{count} photos in {', '.join(_FOLDERS)}, one for each row of {FILE}", got, fix)
    small = [f for f in sizes if sizes[f] <= _MAX_SIDE]
    chosen = max(small, key=lambda f: sizes[f]) if small else min(sizes, key=lambda f: sizes[f])
    note = f"Photos are read from {chosen}; {', '.join(f for f in sizes if f != chosen)} are not." * (len(sizes) > 1)
    return chosen, listed[chosen], note


def _lens(root: Path) -> Camera | None:
    for suffix in (".bin", ".txt"):
        path = root / "sparse" / "0" / f"cameras{suffix}"
        if path.is_file():
            cameras = list(read_cameras(path).values())
            return cameras[0] if len(cameras) == 1 else None
    return None


def _camera(lens: Camera | None, width: int, height: int, focal: float) -> Camera:
    """The COLMAP camera where it is the one that the row was made from, else a centred pinhole."""
    if lens is not None and (lens.width, lens.height) == (width, height) and abs(lens.fx / focal - 1) < 1e-3:
        return lens
    return Camera(focal, focal, width / 2, height / 2, width, height)
