"""`transforms*.json` of nerfstudio, instant-ngp and Blender: OpenGL cameras, world_from_cam matrices.

Intrinsics may stand at the top or in a frame; the pixel origin is the image corner in all three.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resect.artifact import read_json, write_json
from resect.data.gather import Frame, Part, gather, inside
from resect.data.rigid import number, rigid_from_matrix
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera, CameraModel
from resect.geometry.conventions import flip_opengl, pixel_offset
from resect.geometry.se3 import SE3
from resect.types import PhotoSet, World

_PARTS: tuple[Part, ...] = ("train", "val", "test")
_MODELS: dict[str, CameraModel] = {
    "PINHOLE": "pinhole",
    "SIMPLE_PINHOLE": "pinhole",
    "SIMPLE_RADIAL": "opencv",
    "RADIAL": "opencv",
    "OPENCV": "opencv",
    "FULL_OPENCV": "opencv",
    "OPENCV_FISHEYE": "fisheye",
    "RADIAL_FISHEYE": "fisheye",
    "SIMPLE_RADIAL_FISHEYE": "fisheye",
}
_NAMES: dict[CameraModel, str] = {"pinhole": "PINHOLE", "opencv": "OPENCV", "fisheye": "OPENCV_FISHEYE"}


def find_transforms(folder: Path) -> list[Path]:
    """The transforms files of a folder: `transforms.json`, or else `transforms_{train,val,test}.json`."""
    if (folder / "transforms.json").is_file():
        return [folder / "transforms.json"]
    return [path for part in _PARTS if (path := folder / f"transforms_{part}.json").is_file()]


def read_transforms(path: Path) -> PhotoSet:
    """A folder with transforms files, or one such file.

    Of Blender's three files the training photos and the held-out ones (`val`, else `test`) are read, and they are the
    given split. Read a single file to get the rest.
    """
    files = [path] if path.is_file() else find_transforms(path)
    if not files:
        raise ResectError(path, "transforms.json or transforms_train.json", "neither")
    root = files[0].parent
    notes: list[str] = []
    if len(files) > 1:
        names = [f.name for f in files]
        if {"transforms_val.json", "transforms_test.json"} <= set(names) and _has_images(root / "transforms_val.json"):
            notes.append("transforms_test.json is left out, transforms_val.json is held out; name the file to read it.")
            files = [f for f in files if f.name != "transforms_test.json"]
    facts = [_read(file) for file in files]
    frames = [frame for file, fact in zip(files, facts, strict=True) for frame in _frames(file, fact)]
    blender = any("fl_x" not in fact and "camera_angle_x" in fact for fact in facts)
    source = "blender" if blender else "nerfstudio" if "camera_model" in facts[0] else "instant-ngp"
    said = facts[0].get("meters_per_unit")
    world = World(None if said is None else number(f"{files[0]}: meters_per_unit", said, positive=True))
    return gather(root, source, frames, world=world, camera_source=files[0].name, notes=notes)


def camera_from_transforms(path: Path, name: str, width: int, height: int) -> Camera | None:
    """The camera that a transforms file gives for the photo `name` relative to its folder; `None` if not listed.

    Args:
        path: the transforms file.
        name: path of the photo relative to the file's folder; empty for the intrinsics at the top of the file.
        width: stored width of the photo, where the file gives none.
        height: stored height of the photo.
    """
    facts = _read(path)
    if not name:
        return _camera(path, facts, width, height)
    for i, frame in enumerate(facts["frames"]):
        listed = str(_frame(f"{path}: frames[{i}]", frame)["file_path"]).replace("\\", "/").removeprefix("./")
        if listed in (name, name.rsplit(".", 1)[0]):
            return _camera(f"{path}: frames[{i}]", {**facts, **frame}, width, height)
    return None


def write_transforms(photos: PhotoSet, path: Path, *, frame_keys: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Writes poses and cameras as a nerfstudio `transforms.json`; photo names stay relative to the data folder.

    The given split, if any, goes into `train_filenames` and `val_filenames`; `meters_per_unit` is a key of ours.

    Args:
        photos: what to write.
        path: the file.
        frame_keys: further keys of each frame, e.g. `mask_path`, `depth_file_path`, `depth_unit_scale_factor`.
    """
    world_from_cam = flip_opengl(photos.truth.cam_from_world.double().inverse(), "world_from_cam").matrix().tolist()
    frames = [
        {"file_path": name, **_intrinsics(camera), **more, "transform_matrix": matrix}
        for name, camera, more, matrix in zip(
            photos.names, photos.cameras, frame_keys or [{}] * len(photos), world_from_cam, strict=True
        )
    ]
    facts: dict[str, Any] = {"camera_model": _NAMES[photos.cameras[0].model], "frames": frames}
    if photos.world.meters_per_unit is not None:
        facts["meters_per_unit"] = photos.world.meters_per_unit
    if photos.given_split is not None:
        facts["train_filenames"] = [photos.names[i] for i in photos.given_split.train]
        facts["val_filenames"] = [photos.names[i] for i in photos.given_split.test]
    write_json(path, facts)


def _intrinsics(camera: Camera) -> dict[str, Any]:
    offset = pixel_offset("nerfstudio")
    facts: dict[str, Any] = {
        "camera_model": _NAMES[camera.model],
        "w": camera.width,
        "h": camera.height,
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx - offset,
        "cy": camera.cy - offset,
    }
    keys = ("k1", "k2", "k3", "k4") if camera.model == "fisheye" else ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    if camera.model == "opencv" and any(camera.distortion[5:]):
        facts["camera_model"] = "FULL_OPENCV"
    return {**facts, **dict(zip(keys, camera.distortion, strict=False))}


def _has_images(path: Path) -> bool:
    listed = _read(path)["frames"]
    files = (inside(path.parent, str(f.get("file_path", "")), path) for f in listed if isinstance(f, dict))
    return any(file.is_file() or file.with_name(file.name + ".png").is_file() for file in files)


def _read(path: Path) -> dict[str, Any]:
    facts = read_json(path)
    if not isinstance(facts, dict) or not isinstance(facts.get("frames"), list):
        raise ResectError(path, "an object with a list 'frames'", type(facts).__name__)
    return facts


def _frame(where: str, frame: object) -> dict[str, Any]:
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise ResectError(where, "an object with 'file_path' and 'transform_matrix'", repr(frame)[:80])
    return frame


def _frames(path: Path, facts: dict[str, Any]) -> list[Frame]:
    part = next((p for p in _PARTS if path.name == f"transforms_{p}.json"), None)
    listed = {name: p for p in _PARTS for name in _listed(path, facts, f"{p}_filenames")}
    shared = {key: value for key, value in facts.items() if key != "frames"}
    frames = []
    for i, item in enumerate(facts["frames"]):
        where = f"{path}: frames[{i}]"
        frame = _frame(where, item)
        name = frame["file_path"].replace("\\", "/").removeprefix("./")
        where = f"{path}: frames[{i}] {name}"
        merged = {**shared, **{k: v for k, v in frame.items() if k != "transform_matrix"}}
        frames.append(
            Frame(
                name=name,
                camera=lambda w, h, m=merged, at=where: _camera(at, m, w, h),  # type: ignore[misc]
                cam_from_world=_cam_from_world(where, frame.get("transform_matrix")),
                mask=_side_file(path, frame, "mask_path"),
                depth=_side_file(path, frame, "depth_file_path") or _side_file(path, frame, "depth_path"),
                units_per_count=_depth_unit(where, merged),
                part=part or listed.get(name),
            )
        )
    return frames


def _listed(path: Path, facts: Mapping[str, Any], key: str) -> list[str]:
    names = facts.get(key) or []
    if not isinstance(names, list):
        raise ResectError(f"{path}: {key}", "a list of file names", repr(names)[:80])
    return [str(name).replace("\\", "/").removeprefix("./") for name in names]


def _depth_unit(where: str, facts: Mapping[str, Any]) -> float:
    for key in ("depth_unit_scale_factor", "integer_depth_scale"):
        if facts.get(key) is not None:
            return number(f"{where}: {key}", facts[key], positive=True)
    return 0.001


def _side_file(path: Path, frame: Mapping[str, Any], key: str) -> str | None:
    if frame.get(key) is None:
        return None
    inside(path.parent, str(frame[key]), path)
    return str(frame[key]).replace("\\", "/")


def _cam_from_world(where: str, rows: object) -> SE3:
    return flip_opengl(rigid_from_matrix(where, rows), "world_from_cam").inverse()


def _camera(where: object, facts: Mapping[str, Any], width: int, height: int) -> Camera:
    """From a frame's keys over the file's; `width` and `height` stand in where the file gives none."""
    w = round(number(f"{where}: w", facts.get("w", width), positive=True))
    h = round(number(f"{where}: h", facts.get("h", height), positive=True))
    angle_x, angle_y = facts.get("camera_angle_x"), facts.get("camera_angle_y")
    if facts.get("fl_x") is not None:
        fx = number(f"{where}: fl_x", facts["fl_x"], positive=True)
    elif angle_x is not None:
        fx = _focal(f"{where}: camera_angle_x", angle_x, w)
    else:
        fix = "Without a focal length the poses are of no use; add one."
        raise ResectError(where, "'fl_x' or 'camera_angle_x'", "neither", fix)
    if facts.get("fl_y") is not None:
        fy = number(f"{where}: fl_y", facts["fl_y"], positive=True)
    else:
        given = angle_y is not None and facts.get("fl_x") is None
        fy = _focal(f"{where}: camera_angle_y", angle_y, h) if given else fx
    offset = pixel_offset("nerfstudio")
    cx = number(f"{where}: cx", facts.get("cx", w / 2 - offset)) + offset
    cy = number(f"{where}: cy", facts.get("cy", h / 2 - offset)) + offset
    model, distortion = _lens(where, facts)
    return Camera(fx, fy, cx, cy, w, h, model, distortion)


def _focal(where: str, angle: object, size: int) -> float:
    fov_rad = number(where, angle, positive=True)
    if fov_rad >= math.pi:
        raise ResectError(where, "an angle below π radians", str(angle))
    return 0.5 * size / math.tan(0.5 * fov_rad)


def _lens(where: object, facts: Mapping[str, Any]) -> tuple[CameraModel, tuple[float, ...]]:
    said = str(facts.get("camera_model", "OPENCV_FISHEYE" if facts.get("is_fisheye") else "OPENCV"))
    if said not in _MODELS:
        raise unknown_name(f"{where}: camera_model", said, _MODELS)
    k = {n: number(f"{where}: {n}", facts.get(n, 0.0)) for n in ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")}
    if _MODELS[said] == "fisheye":
        return "fisheye", tuple(k[n] for n in ("k1", "k2", "k3", "k4"))
    if k["k4"] and said != "FULL_OPENCV":
        fix = "Undistort the photos, or say camera_model FULL_OPENCV if it is the first denominator term."
        raise ResectError(f"{where}: k4", "0 for this lens model", str(k["k4"]), fix)
    distortion = tuple(k[n] for n in ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"))
    if _MODELS[said] == "pinhole" or not any(distortion):
        return "pinhole", ()
    last = max(i for i, value in enumerate(distortion) if value) + 1
    return "opencv", distortion[:last]
