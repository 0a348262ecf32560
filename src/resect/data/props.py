"""PROPS-Pose: photos of YCB objects on a table, split by folder; one camera, models in metres.

`ROOT/{train,val}/{rgb,depth}/000001.png`, `mask_visib/IMAGE_INDEX.png`, `SPLIT_gt.json` with `cam_R_m2c`, `cam_t_m2c`
and `obj_id` of each object in each image; `model/ID_NAME/textured_simple.obj`. The JSON
files lie in the split's folder or beside it. Translations are metres, or millimetres where they are too far.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from resect.artifact import read_json
from resect.data.bop.scene import bop_camera, check_rotations
from resect.data.image import read_header, read_mask
from resect.data.mask import box_of
from resect.data.mesh import read_mesh
from resect.data.object_set import ObjectSet
from resect.data.rigid import number
from resect.data.shared_image import SharedImages
from resect.errors import ResectError, unknown_name
from resect.geometry import so3
from resect.geometry.mesh import Mesh, diameter
from resect.geometry.se3 import SE3
from resect.types import Photo, PhotoSet, Target, Truth, World

SPLITS = ("val", "train")
_K = [902.19, 0.0, 342.35, 0.0, 902.39, 252.23, 0.0, 0.0, 1.0]
"""Of the dataset's one camera, 640 × 480, as its reader has it; no file holds it."""
_SIZE = (640, 480)
_TOO_FAR = 10.0  # metres
_MOST_BYTES = 512 << 20
_MESH = "textured_simple.obj"


@dataclass(frozen=True, eq=False)
class _Row:
    image: int
    index: int
    kind: int


def fits_props(path: Path) -> bool:
    """Whether a folder has this layout."""
    return any(_truth_file(path, split) is not None for split in SPLITS)


def read_props(path: Path | str, split: str | None = None) -> dict[str, ObjectSet]:
    """Object id → its photos of a split, by default those that are held out.

    The layout holds no symmetries: give them where a metric needs them.
    """
    path = Path(path)
    there = props_splits(path)
    if split is not None and split not in there:
        raise unknown_name(f"{path}: split", split, there)
    chosen = split or there[0]
    file = _truth_file(path, chosen)
    assert file is not None
    rows, poses = _rows(file)
    shared, folder = SharedImages(), path / chosen
    models = {int(p.name.partition("_")[0]): p for p in _models(path)}
    found: dict[int, list[int]] = {}
    for k, row in enumerate(rows):
        if (folder / "rgb" / f"{row.image:06d}.png").is_file():
            found.setdefault(row.kind, []).append(k)
    if not found:
        raise ResectError(folder, "images of the objects in rgb/", "none")
    sets = {
        str(kind): _object_set(path, folder, kind, [rows[k] for k in at], poses[at], models.get(kind), shared)
        for kind, at in sorted(found.items())
    }
    return sets


def props_splits(path: Path) -> tuple[str, ...]:
    """Names of the splits that are there."""
    return tuple(s for s in SPLITS if _truth_file(path, s) is not None)


def _truth_file(path: Path, split: str) -> Path | None:
    name = f"{split}_gt.json"
    return next((p for p in (path / split / name, path / name) if p.is_file()), None)


def _models(path: Path) -> list[Path]:
    folder = path / "model"
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [
        p for p in inside if p.is_dir() and p.name.partition("_")[0].isascii() and p.name.partition("_")[0].isdigit()
    ]


def _rows(file: Path) -> tuple[list[_Row], SE3]:
    listed = read_json(file, limit=_MOST_BYTES)
    if not isinstance(listed, dict) or not all(k.isascii() and k.isdigit() and len(k) < 10 for k in listed):
        raise ResectError(file, "an object whose keys are image numbers", type(listed).__name__)
    rows: list[_Row] = []
    values: list[list[float]] = []
    for key in sorted(listed, key=int):
        entries = listed[key] if isinstance(listed[key], list) else []
        for index, entry in enumerate(entries):
            where = f"{file}: image {key}, object {index}"
            if not isinstance(entry, dict) or not isinstance(entry.get("obj_id"), int):
                raise ResectError(where, "an object with obj_id, cam_R_m2c and cam_t_m2c", repr(entry)[:80])
            values.append(_numbers(where, entry.get("cam_R_m2c"), 9) + _numbers(where, entry.get("cam_t_m2c"), 3))
            rows.append(_Row(int(key), index, entry["obj_id"]))
    if not rows:
        raise ResectError(file, "objects in images", "none")
    matrix = torch.tensor(values, dtype=torch.float64)
    rotation, t = matrix[:, :9].view(-1, 3, 3), matrix[:, 9:]
    check_rotations(rotation, lambda i: f"{file}: image {rows[i].image}, object {rows[i].index}: cam_R_m2c")
    t = t / 1000 if float(t.norm(dim=-1).median()) > _TOO_FAR else t
    return rows, SE3(so3.nearest_rotation(rotation), t)


def _numbers(where: str, values: Any, count: int) -> list[float]:
    flat = [x for row in values for x in (row if isinstance(row, list) else [row])] if isinstance(values, list) else []
    if len(flat) != count:
        raise ResectError(where, f"{count} numbers", repr(values)[:80])
    return [number(where, v) for v in flat]


def _object_set(
    root: Path, folder: Path, kind: int, rows: Sequence[_Row], poses: SE3, model: Path | None, shared: SharedImages
) -> ObjectSet:
    files = [folder / "rgb" / f"{row.image:06d}.png" for row in rows]
    header = read_header(files[0])
    camera = bop_camera("PROPS-Pose", _K, *_SIZE).rescale(header.width, header.height)
    names = tuple(f.relative_to(root).as_posix() for f in files)
    load_mesh = _mesh_reader(model)
    mesh = None if load_mesh is None else load_mesh()
    instances = (
        [sum(r.image == row.image for r in rows[:k]) for k, row in enumerate(rows)] if len(rows) < 4000 else None
    )

    def load(i: int) -> Photo:
        mask_file = folder / "mask_visib" / f"{rows[i].image:06d}_{rows[i].index:06d}.png"
        mask = read_mask(mask_file, camera.width, camera.height) if mask_file.is_file() else None
        box = None if mask is None or not bool(mask.any()) else box_of(mask)
        depth_file = folder / "depth" / f"{rows[i].image:06d}.png"
        depth = shared.depth(depth_file, 0.001, camera) if depth_file.is_file() else None
        target = Target(str(kind), 0 if instances is None else instances[i], box=box, mask=mask)
        return Photo(names[i], shared.image(files[i], camera), camera, "props", target, depth)

    photos = PhotoSet(
        root=root,
        format="props",
        names=names,
        cameras=(camera,) * len(rows),
        truth=Truth(poses),
        world=World(1.0, bounds=None if mesh is None else mesh.bounds.double()),
        load=load,
        notes=("The layout holds no symmetries of its objects.",),
    )
    size = None if mesh is None else diameter(mesh.vertices)
    return ObjectSet(str(kind), photos, diameter=size, load_mesh=load_mesh)


def _mesh_reader(model: Path | None) -> Callable[[], Mesh] | None:
    if model is None or not (model / _MESH).is_file():
        return None
    return partial(read_mesh, model / _MESH, meters_per_unit=1.0)
