"""Photos of known objects written as a BOP dataset, so that any tool of that family can use or score them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from resect.artifact import write_atomic, write_json
from resect.data.bop.scene import METERS_PER_UNIT
from resect.data.image import png_bytes
from resect.data.mesh.write import write_ply
from resect.data.models_info import ModelInfo, write_models_info
from resect.data.object_set import ObjectSet
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.conventions import pixel_offset
from resect.geometry.mesh import Mesh
from resect.geometry.symmetry import Axis, Symmetries
from resect.types import Photo

_DEPTH_SCALE = 0.1  # millimetres a count: 16 bits reach 6.5 m
_NO_BOX = [-1.0, -1.0, -1.0, -1.0]


def write_bop(objects: Mapping[str, ObjectSet], out: Path | str, *, split: str = "test", scene: int = 1) -> list[str]:
    """Writes one scene with all photos, its masks and depth, and the models with their symmetries; millimetres.

    Photos of the same name are one image. Objects whose ids are no numbers are numbered from 1 in their order.

    Returns:
        What did not fit: how objects were numbered, depth beyond 6.5 m.

    Raises:
        ResectError: the folder is not empty, lengths of unknown unit, or a lens with distortion.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise ResectError(out, "a new or empty folder", "files in it", "Give another one.")
    numbers, notes = _numbers(objects)
    folder = out / split / f"{scene:06d}"
    names = sorted({name for o in objects.values() for name in o.photos.names})
    images = {name: i for i, name in enumerate(names)}
    cameras: dict[str, Any] = {}
    truth: dict[str, list[Any]] = {str(i): [] for i in range(len(names))}
    info: dict[str, list[Any]] = {str(i): [] for i in range(len(names))}
    for object_id, found in objects.items():
        unit = _millimetres(object_id, found)
        for k, photo in enumerate(found.photos):
            image = images[found.photos.names[k]]
            cameras.setdefault(str(image), {"cam_K": _bop_camera(photo), "depth_scale": _DEPTH_SCALE})
            index = len(truth[str(image)])
            if index == 0:
                notes += _write_pixels(folder, image, photo, unit)
            pose = found.photos.truth.cam_from_world[k].double()
            entry = {"cam_R_m2c": pose.R.flatten().tolist(), "cam_t_m2c": (pose.t * unit).tolist()}
            truth[str(image)].append({**entry, "obj_id": numbers[object_id]})
            info[str(image)].append(_visible(folder, (image, index), photo, found, k))
    write_json(folder / "scene_camera.json", {str(i): cameras[str(i)] for i in range(len(names))})
    write_json(folder / "scene_gt.json", truth)
    if any(entry["bbox_visib"] != _NO_BOX for entries in info.values() for entry in entries):
        write_json(folder / "scene_gt_info.json", info)
    _write_models(objects, numbers, out)
    return list(dict.fromkeys(notes))


def _numbers(objects: Mapping[str, ObjectSet]) -> tuple[dict[str, int], list[str]]:
    if all(key.isascii() and key.isdigit() for key in objects):
        return {key: int(key) for key in objects}, []
    numbers = {key: i for i, key in enumerate(objects, 1)}
    return numbers, ["Objects are numbered: " + ", ".join(f"{i} {key}" for key, i in numbers.items()) + "."]


def _millimetres(object_id: str, objects: ObjectSet) -> float:
    """Millimetres in a unit of an object's world."""
    meters = objects.photos.world.meters_per_unit
    if meters is None:
        fix = "BOP is in millimetres; set meters_per_unit."
        raise ResectError(f"object {object_id}", "lengths of known unit", "unknown", fix)
    return meters / METERS_PER_UNIT


def _bop_camera(photo: Photo) -> list[float]:
    camera: Camera = photo.known_camera()
    if any(camera.distortion):
        raise ResectError(photo.name, "a camera without distortion", camera.model, "Undistort the photos first.")
    return bop_camera_numbers(camera)


def bop_camera_numbers(camera: Camera) -> list[float]:
    """`cam_K`: nine numbers row by row, the pixel origin in the first pixel's centre."""
    offset = pixel_offset("bop")
    return [camera.fx, 0.0, camera.cx - offset, 0.0, camera.fy, camera.cy - offset, 0.0, 0.0, 1.0]


def _write_pixels(folder: Path, image: int, photo: Photo, unit: float) -> list[str]:
    write_atomic(folder / "rgb" / f"{image:06d}.png", png_bytes((photo.image * 255).round().byte()))
    if photo.depth is None:
        return []
    counts = (photo.depth.double() * (unit / _DEPTH_SCALE)).round()
    write_atomic(folder / "depth" / f"{image:06d}.png", png_bytes(counts.where(counts < 65535, 0.0)))
    return ["Depth beyond 6.5 m is left out."] if bool((counts >= 65535).any()) else []


def _visible(folder: Path, key: tuple[int, int], photo: Photo, objects: ObjectSet, k: int) -> dict[str, Any]:
    """The entry of `scene_gt_info.json`; writes the mask."""
    target, box = photo.target, _NO_BOX
    if target is not None and target.box is not None:
        left, top, right, bottom = target.box
        box = [left, top, right - left - 1, bottom - top - 1]
    entry: dict[str, Any] = {"bbox_obj": box, "bbox_visib": box}
    if objects.visible is not None:
        entry["visib_fract"] = float(objects.visible[k])
    if target is not None and target.mask is not None:
        write_atomic(folder / "mask_visib" / f"{key[0]:06d}_{key[1]:06d}.png", png_bytes(target.mask.byte() * 255))
        entry["px_count_visib"] = int(target.mask.sum())
    return entry


def _write_models(objects: Mapping[str, ObjectSet], numbers: Mapping[str, int], out: Path) -> None:
    infos = {}
    for object_id, found in objects.items():
        if found.load_mesh is None:
            continue
        unit = _millimetres(object_id, found)
        mesh: Mesh = found.load_mesh()
        mesh = replace(mesh, vertices=mesh.vertices * unit, meters_per_unit=METERS_PER_UNIT)
        write_ply(mesh, out / "models" / f"obj_{numbers[object_id]:06d}.ply")
        infos[str(numbers[object_id])] = ModelInfo.of(mesh, _scaled(found.symmetries, unit))
    if infos:
        write_models_info(out / "models" / "models_info.json", infos)


def _scaled(symmetries: Symmetries, unit: float) -> Symmetries:
    moved = replace(symmetries.discrete, t=symmetries.discrete.t * unit)
    return Symmetries(moved, tuple(Axis(a.direction, a.offset * unit) for a in symmetries.axes))
