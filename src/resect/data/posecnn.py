"""YCB-Video frames as PoseCNN has them: `000001-{color,depth,label}.png`, `-meta.mat`, `-box.txt`; models in metres.

The meta file holds `poses` (3, 4, N, model to camera), `cls_indexes` (N, from 1, into the models by name),
`intrinsic_matrix` and `factor_depth`. Boxes and masks are those of the label image. Models are folders with
`points.xyz`, or with a textured mesh where the dataset was fetched whole.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from resect.data.bop.scene import bop_camera, check_rotations
from resect.data.image import read_header, read_image
from resect.data.mask import box_of
from resect.data.mesh import read_mesh
from resect.data.object_set import ObjectSet
from resect.data.rigid import number
from resect.data.shared_image import SharedImages
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh, diameter
from resect.geometry.se3 import SE3
from resect.types import Photo, PhotoSet, Target, Truth, World

_META = "-meta.mat"
_MOST_BYTES = 64 << 20
_MOST_POINTS = 5_000_000
_MESHES = ("textured_simple.obj", "textured.obj")


@dataclass(frozen=True, eq=False)
class _Frame:
    stem: Path
    camera: Camera
    units_per_count: float
    classes: tuple[int, ...]
    cam_from_obj: SE3


def fits_posecnn(path: Path) -> bool:
    """Whether a folder, or its `data` folder, holds frames with meta files."""
    return any(next(folder.glob(f"*{_META}"), None) is not None for folder in (path, path / "data"))


def read_posecnn(path: Path | str) -> dict[str, ObjectSet]:
    """Object name → its photos. Names are those of the models' folders; without them, the class numbers.

    The frames hold no symmetries: give them where a metric needs them.
    """
    path = Path(path)
    folder = path / "data" if next((path / "data").glob(f"*{_META}"), None) else path
    frames = [_frame(file) for file in sorted(folder.glob(f"*{_META}"))]
    root = folder.parent if folder.name == "data" else folder
    models = sorted(p for p in (root / "models").iterdir() if p.is_dir()) if (root / "models").is_dir() else []
    shared = SharedImages()
    found: dict[int, list[tuple[_Frame, int]]] = {}
    for frame in frames:
        for k, kind in enumerate(frame.classes):
            found.setdefault(kind, []).append((frame, k))
    sets = (_object_set(root, kind, found[kind], models, shared) for kind in sorted(found))
    return {objects.object_id: objects for objects in sets}


def _frame(file: Path) -> _Frame:
    meta = _meta(file)
    stem = file.with_name(file.name.removesuffix(_META))
    header = read_header(_beside(stem, "color"))
    poses = _array(file, meta, "poses", (3, 4, None)).permute(2, 0, 1)
    classes = _array(file, meta, "cls_indexes", (None, 1))[:, 0].long().tolist()
    if len(classes) != len(poses):
        raise ResectError(f"{file}: poses", f"{len(classes)} poses, one for each of cls_indexes", str(len(poses)))
    k = _array(file, meta, "intrinsic_matrix", (3, 3)).flatten().tolist()
    camera = bop_camera(f"{file}: intrinsic_matrix", k, header.width, header.height)
    factor = number(f"{file}: factor_depth", float(_array(file, meta, "factor_depth", (1, 1))), positive=True)
    check_rotations(poses[:, :, :3], lambda i: f"{file}: pose {i}")
    return _Frame(stem, camera, 1 / factor, tuple(classes), SE3(so3.nearest_rotation(poses[:, :, :3]), poses[:, :, 3]))


def _meta(file: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if file.stat().st_size > _MOST_BYTES:
        raise ResectError(file, f"at most {_MOST_BYTES >> 20} MiB", f"{file.stat().st_size >> 20} MiB")
    names = ["poses", "cls_indexes", "intrinsic_matrix", "factor_depth"]
    try:
        return dict(loadmat(file, variable_names=names))
    except (MatReadError, ValueError, TypeError, KeyError, OSError, NotImplementedError, MemoryError) as error:
        raise ResectError(file, "a MATLAB file up to version 7", str(error)[:80] or type(error).__name__) from None


def _array(file: Path, meta: dict[str, Any], name: str, shape: tuple[int | None, ...]) -> Float[Tensor, "..."]:
    import numpy as np

    value = meta.get(name)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.ndim != len(shape):
        raise ResectError(f"{file}: {name}", f"numbers of shape {shape}", "nothing" if value is None else "others")
    if any(want not in (None, got) for want, got in zip(shape, value.shape, strict=True)):
        raise ResectError(f"{file}: {name}", f"numbers of shape {shape}", f"shape {value.shape}")
    found = torch.from_numpy(value.astype(np.float64))
    if not bool(found.isfinite().all()):
        raise ResectError(f"{file}: {name}", "finite numbers", "NaN or infinity")
    return found


def _beside(stem: Path, kind: str) -> Path:
    return next((p for s in ("png", "jpg") if (p := stem.with_name(f"{stem.name}-{kind}.{s}")).is_file()), stem)


def _object_set(
    root: Path, kind: int, rows: Sequence[tuple[_Frame, int]], models: Sequence[Path], shared: SharedImages
) -> ObjectSet:
    folder = models[kind - 1] if 0 < kind <= len(models) else None
    object_id = str(kind) if folder is None else folder.name
    load_mesh = None if folder is None else _mesh_reader(folder)
    mesh = None if load_mesh is None else load_mesh()
    colors = [_beside(frame.stem, "color") for frame, _ in rows]
    names = tuple(color.relative_to(root).as_posix() for color in colors)

    def load(i: int) -> Photo:
        frame = rows[i][0]
        image = shared.image(colors[i], frame.camera)
        depth_file, mask = _beside(frame.stem, "depth"), _label(frame, kind)
        has_depth = depth_file != frame.stem
        depth = shared.depth(depth_file, frame.units_per_count, frame.camera) if has_depth else None
        target = Target(object_id, box=None if mask is None else box_of(mask), mask=mask)
        return Photo(names[i], image, frame.camera, "meta.mat", target, depth)

    photos = PhotoSet(
        root=root,
        format="posecnn",
        names=names,
        cameras=tuple(frame.camera for frame, _ in rows),
        truth=Truth(SE3.stack([frame.cam_from_obj[k] for frame, k in rows])),
        world=World(1.0, bounds=None if mesh is None else mesh.bounds.double()),
        load=load,
        notes=("The layout holds no symmetries of its objects.",),
    )
    return ObjectSet(object_id, photos, diameter=None if mesh is None else diameter(mesh.vertices), load_mesh=load_mesh)


def _label(frame: _Frame, kind: int) -> Bool[Tensor, "h w"] | None:
    """Where the label image shows a class; `None` where it does not, or there is none."""
    file = _beside(frame.stem, "label")
    if file == frame.stem:
        return None
    image, _ = read_image(file, upright=False)
    if tuple(image.shape[:2]) != (frame.camera.height, frame.camera.width):
        size = f"{frame.camera.width}x{frame.camera.height}"
        raise ResectError(file, f"labels of the image's size, {size}", f"{image.shape[1]}x{image.shape[0]}")
    mask = (image[..., 0] * 255).round() == kind
    return mask if bool(mask.any()) else None


def _mesh_reader(folder: Path) -> Callable[[], Mesh] | None:
    for name in _MESHES:
        if (folder / name).is_file():
            return partial(read_mesh, folder / name, meters_per_unit=1.0)
    return partial(_point_model, folder / "points.xyz") if (folder / "points.xyz").is_file() else None


def _point_model(path: Path) -> Mesh:
    """A model without faces: enough for metrics, nothing to render."""
    import numpy as np

    if os.path.getsize(path) > _MOST_BYTES:
        raise ResectError(path, f"at most {_MOST_BYTES >> 20} MiB of points", f"{os.path.getsize(path) >> 20} MiB")
    try:
        values = torch.from_numpy(np.loadtxt(path, ndmin=2, max_rows=_MOST_POINTS))
    except ValueError as error:
        raise ResectError(path, "three numbers a line", str(error)[:80]) from None
    if values.shape[1:] != (3,) or len(values) == 0 or not bool(values.isfinite().all()):
        raise ResectError(path, "three finite numbers a line", f"{tuple(values.shape)}")
    note = "Points without faces: good for metrics, nothing to render."
    return Mesh(values.float(), torch.zeros(0, 3, dtype=torch.long), meters_per_unit=1.0, name=path.name, notes=(note,))
