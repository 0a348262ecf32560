"""One scene of a BOP dataset: `scene_camera.json`, `scene_gt.json`, `scene_gt_info.json` and what lies beside them.

Every number is checked, and file names are made of integers only, so that nothing outside the folder is read.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from resect.artifact import read_json
from resect.data.flow_yaml import read_flow_yaml
from resect.data.image import read_header
from resect.data.rigid import number
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.conventions import pixel_offset
from resect.geometry.se3 import SE3

METERS_PER_UNIT = 0.001
MOST_OBJECTS = 2_000_000
_MOST_BYTES = 512 << 20
_ROTATION_SLACK = 1e-2  # some datasets write four digits
_PICTURES = ("rgb", "gray")


@dataclass(frozen=True)
class BopImage:
    """One image.

    Attributes:
        scene: number of its scene.
        image: number in the scene.
        camera: intrinsics; the principal point counted from the image corner.
        file: the picture; `None` if it is missing.
        depth: the depth image, if there is one.
        depth_scale: what its numbers are multiplied with to be in millimetres.
    """

    scene: int
    image: int
    camera: Camera
    file: Path | None
    depth: Path | None
    depth_scale: float


@dataclass(frozen=True)
class BopObject:
    """One true object in an image.

    Attributes:
        scene: number of its scene.
        image: number in the scene.
        index: which of the image's objects, counted over all kinds; the masks are named after it.
        object_id: number of its model.
        box: of the visible part: left, top, right, bottom in pixels; `None` if unknown or nothing is visible.
        visible: share of its pixels that is visible; `None` if unknown.
        mask: picture of the visible part, if there is one.
    """

    scene: int
    image: int
    index: int
    object_id: int
    box: tuple[float, float, float, float] | None
    visible: float | None
    mask: Path | None


@dataclass(frozen=True, eq=False)
class BopScene:
    """What a scene folder holds; `cam_from_obj` in millimetres, float64, one for each of `objects`.

    Their matrices are as the file has them, rounded: some datasets' are 0.2 % off a rotation, and scores that are to
    equal the BOP toolkit's are of these.
    """

    images: tuple[BopImage, ...]
    objects: tuple[BopObject, ...]
    cam_from_obj: SE3
    notes: tuple[str, ...]


def is_scene(folder: Path) -> bool:
    """Whether a folder is that of a scene."""
    return any((folder / name).is_file() for name in ("scene_camera.json", "scene_gt.json", "gt.yml"))


def read_scene(folder: Path, size: tuple[int, int] | None) -> BopScene:
    """Reads a scene; poses, boxes, masks and depth may be missing, and it is said.

    Args:
        folder: of the scene; its name is its number.
        size: width and height of images, for scenes without pictures.
    """
    scene = int(folder.name) if folder.name.isascii() and folder.name.isdigit() else 0
    old = (folder / "gt.yml").is_file()
    names = ("info.yml", "gt.yml") if old else ("scene_camera.json", "scene_gt.json")
    cameras = _by_image(folder / names[0])
    truth = _by_image(folder / names[1]) if (folder / names[1]).is_file() else {}
    info = _by_image(folder / "scene_gt_info.json") if (folder / "scene_gt_info.json").is_file() else {}
    info = _whole_boxes(truth) if old else info
    files = _numbered(folder, *_PICTURES)
    depths = _numbered(folder, "depth")
    if files:
        header = read_header(files[min(files)])
        size = (header.width, header.height)
    if size is None:
        fix = "Copy the images, or camera.json, beside it."
        raise ResectError(folder, "rgb/ or gray/ with images, or a camera.json with the size", "neither", fix)
    images = tuple(
        _image(f"{folder}/{names[0]}: image {i}", entry, (scene, i), files.get(i), depths.get(i), size)
        for i, entry in sorted(cameras.items())
    )
    masks = _own_masks(folder, scene, truth) if old else _masks(folder)
    objects, poses = [], []
    for i, entries in sorted(truth.items()):
        if i not in cameras:
            raise ResectError(folder / names[0], f"an entry for image {i} of {names[1]}", "none")
        where = f"{folder}/{names[1]}: image {i}"
        facts = info.get(i)
        for k, entry in enumerate(_listed(where, entries)):
            objects.append(_object((scene, i, k), entry, f"{where}, object {k}", facts, masks.get((i, k))))
            poses.append(_pose_numbers(f"{where}, object {k}", entry))
    notes = _notes(scene, images, truth, info, masks)
    if old:
        notes += ("Boxes are of whole objects, parts that are hidden included.",)
    return BopScene(images, tuple(objects), _poses(folder / names[1], objects, poses), notes)


def bop_camera(where: str, k: Any, width: int, height: int) -> Camera:
    """From `cam_K`, nine numbers row by row, whose pixel origin is the first pixel's centre."""
    numbers = _numbers(where, k, 9)
    if abs(numbers[1]) > 1e-3 * abs(numbers[0]):
        raise ResectError(where, "a camera without skew", f"skew {numbers[1]:g}", "Rectify the images first.")
    offset = pixel_offset("bop")
    return Camera(numbers[0], numbers[4], numbers[2] + offset, numbers[5] + offset, width, height)


def _image(
    where: str, entry: Any, key: tuple[int, int], file: Path | None, depth: Path | None, size: tuple[int, int]
) -> BopImage:
    if not isinstance(entry, dict) or "cam_K" not in entry:
        got = f"keys {', '.join(map(str, list(entry)[:6]))}" if isinstance(entry, dict) else type(entry).__name__
        raise ResectError(where, "an object with cam_K", got, "Cameras other than a pinhole's are not read.")
    camera = bop_camera(f"{where}: cam_K", entry["cam_K"], *size)
    scale = number(f"{where}: depth_scale", entry.get("depth_scale", 1.0), positive=True)
    return BopImage(*key, camera, file, depth, scale)


def _object(key: tuple[int, int, int], entry: Any, where: str, facts: Any, mask: Path | None) -> BopObject:
    if not isinstance(entry, dict) or not isinstance(entry.get("obj_id"), int):
        raise ResectError(where, "an object with obj_id, cam_R_m2c and cam_t_m2c", repr(entry)[:80])
    box, visible = None, None
    if facts is not None:
        listed = _listed(f"{where} in scene_gt_info.json", facts)
        if key[2] >= len(listed) or not isinstance(listed[key[2]], dict):
            raise ResectError(f"{where} in scene_gt_info.json", "an object for each of scene_gt.json", str(len(listed)))
        fact = listed[key[2]]
        visible = number(f"{where}: visib_fract", fact["visib_fract"]) if "visib_fract" in fact else None
        box = _box(f"{where}: bbox_visib", fact["bbox_visib"]) if "bbox_visib" in fact else None
    return BopObject(*key, entry["obj_id"], box, visible, mask)


def _box(where: str, values: Any) -> tuple[float, float, float, float] | None:
    """BOP's x, y, width, height are differences of pixel numbers; a box one pixel wide has width 0."""
    x, y, w, h = _numbers(where, values, 4)
    return None if w < 0 or h < 0 else (x, y, x + w + 1, y + h + 1)


def _pose_numbers(where: str, entry: Mapping[str, Any]) -> list[float]:
    return [
        *_numbers(f"{where}: cam_R_m2c", entry.get("cam_R_m2c"), 9),
        *_numbers(f"{where}: cam_t_m2c", entry.get("cam_t_m2c"), 3),
    ]


def _poses(file: Path, objects: list[BopObject], rows: list[list[float]]) -> SE3:
    if len(rows) > MOST_OBJECTS:
        raise ResectError(file, f"at most {MOST_OBJECTS} objects", str(len(rows)))
    values = torch.tensor(rows, dtype=torch.float64).view(-1, 12)

    def where(i: int) -> str:
        return f"{file}: image {objects[i].image}, object {objects[i].index}: cam_R_m2c"

    rotations = values[:, :9].view(-1, 3, 3)
    check_rotations(rotations, where)
    return SE3(rotations, values[:, 9:])


def check_rotations(matrix: Float[Tensor, "n 3 3"], where: Callable[[int], str]) -> None:
    """An error that names, by `where(i)`, the matrix that is farthest from a rotation, if it is too far."""
    off = (so3.nearest_rotation(matrix) - matrix).abs().amax((1, 2))
    if len(off) and float(off.max()) > _ROTATION_SLACK:
        i = int(off.argmax())
        fix = "Rows must be orthonormal with determinant +1, nine numbers row by row."
        raise ResectError(where(i), "a rotation", f"a matrix {float(off[i]):.2g} away from one", fix)


def _by_image(path: Path) -> dict[int, Any]:
    found = read_flow_yaml(path) if path.suffix == ".yml" else read_json(path, limit=_MOST_BYTES)
    if not isinstance(found, dict) or not all(k.isascii() and k.isdigit() and len(k) < 10 for k in found):
        raise ResectError(path, "an object whose keys are image numbers", type(found).__name__)
    return {int(k): v for k, v in found.items()}


def _listed(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ResectError(where, "a list of objects", type(value).__name__)
    return value


def _numbers(where: str, values: Any, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise ResectError(where, f"{count} numbers", repr(values)[:80])
    return [number(where, v) for v in values]


def _numbered(folder: Path, *names: str) -> dict[int, Path]:
    """Number → file, in the first of some folders that is there."""
    inner = next((folder / n for n in names if (folder / n).is_dir()), None)
    if inner is None:
        return {}
    stems = ((os.path.splitext(n)[0], inner / n) for n in os.listdir(inner))
    return {int(s): p for s, p in sorted(stems) if s.isascii() and s.isdigit() and len(s) < 10}


def _masks(folder: Path) -> dict[tuple[int, int], Path]:
    inner, found = folder / "mask_visib", {}
    for name in os.listdir(inner) if inner.is_dir() else ():
        image, _, index = os.path.splitext(name)[0].partition("_")
        if all(part.isascii() and part.isdigit() and len(part) < 10 for part in (image, index)):
            found[int(image), int(index)] = inner / name
    return found


def _own_masks(folder: Path, scene: int, truth: Mapping[int, Any]) -> dict[tuple[int, int], Path]:
    """LINEMOD's, one an image, of the object that the scene is named after."""
    files = _numbered(folder, "mask")
    entries = ((i, k, e) for i, v in truth.items() for k, e in enumerate(v if isinstance(v, list) else ()))
    own = ((i, k) for i, k, e in entries if isinstance(e, dict) and e.get("obj_id") == scene)
    return {(i, k): files[i] for i, k in own if i in files}


def _whole_boxes(truth: Mapping[int, Any]) -> dict[int, Any]:
    """What `scene_gt_info.json` would hold, from LINEMOD's `obj_bb`."""
    boxes = {
        i: [{"bbox_visib": e["obj_bb"]} if isinstance(e, dict) and "obj_bb" in e else {} for e in v]
        for i, v in truth.items()
        if isinstance(v, list)
    }
    return boxes if any(any(entries) for entries in boxes.values()) else {}


def _notes(
    scene: int, images: tuple[BopImage, ...], truth: Mapping[int, Any], info: Mapping[int, Any], masks: object
) -> tuple[str, ...]:
    lost = sum(i.file is None for i in images)
    facts = {
        f"{lost} of {len(images)} images are missing": lost > 0,
        "no poses (scene_gt.json)": not truth,
        "no boxes and visible shares (scene_gt_info.json)": bool(truth) and not info,
        "no masks (mask_visib)": bool(truth) and not masks,
        "no depth images, so answers come from colour alone": not any(i.depth for i in images),
    }
    said = [sentence for sentence, is_so in facts.items() if is_so]
    return (f"Scene {scene}: {'; '.join(said)}.",) if said else ()
