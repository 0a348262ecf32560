"""Intrinsics on their own: a small JSON of resect's or of BOP's, a transforms.json, or COLMAP's cameras file."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from resect.artifact import read_json, settings_from_json, write_json
from resect.data.colmap import camera_for_photo, read_cameras
from resect.data.transforms import camera_from_transforms
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.conventions import pixel_offset

_SIZES = ("w", "h", "fl_x", "fl_y", "cx", "cy", "camera_angle_x", "camera_angle_y")
_INTRINSICS = (*_SIZES, "camera_model", "is_fisheye", "k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")


def read_camera(path: Path | str, photo: str = "", width: int = 0, height: int = 0) -> Camera:
    """A camera from a file.

    Takes `{"fx", "fy", "cx", "cy", "width", "height", "model", "distortion"}` in resect's convention (pixel origin at
    the image corner), BOP's `camera.json`, which has a `depth_scale` beside, a transforms file, or COLMAP's cameras.txt
    / cameras.bin (one camera in it, or a folder with the images file that names the photo).

    Args:
        path: the file.
        photo: name of the photo, to find it in a file with many cameras.
        width: stored width of the photo, to tell cameras apart and for files that give no size.
        height: its stored height.
    """
    path = Path(path)
    if path.suffix in (".txt", ".bin"):
        return _from_colmap(path, photo, width, height)
    facts = read_json(path)
    if isinstance(facts, dict) and "frames" in facts:
        found = camera_from_transforms(path, photo, width, height) if photo else None
        return found or _top(path, width, height)
    if not isinstance(facts, dict) or not {"fx", "fy", "cx", "cy", "width", "height"} <= set(facts):
        raise ResectError(path, "keys fx, fy, cx, cy, width, height", "something else")
    if "depth_scale" not in facts:
        return settings_from_json(Camera, facts, path)
    offset = pixel_offset("bop")
    found = settings_from_json(Camera, {k: v for k, v in facts.items() if k != "depth_scale"}, path)
    return replace(found, cx=found.cx + offset, cy=found.cy + offset)


def write_camera(camera: Camera, path: Path) -> None:
    """Writes a camera as the small JSON that `read_camera` takes."""
    facts: dict[str, Any] = asdict(camera)
    write_json(path, {**facts, "distortion": list(camera.distortion)})


def _top(path: Path, width: int, height: int) -> Camera:
    """The intrinsics at the top of a transforms file, else those that all its frames share."""
    facts = read_json(path)
    name = "" if {"fl_x", "camera_angle_x"} & set(facts) else _one_of_equal(path, facts["frames"])
    if width < 1 or height < 1:
        width, height = (facts.get("w", 0) or 1, facts.get("h", 0) or 1)
    camera = camera_from_transforms(path, name, width, height)
    assert camera is not None
    return camera


def _one_of_equal(path: Path, frames: Any) -> str:
    """The name of a frame whose intrinsics are those of all, or an error."""
    frames = [f for f in frames if isinstance(f, dict)] if isinstance(frames, list) else []
    different = [{k: v for k, v in f.items() if k in _INTRINSICS} for f in frames]
    if not different or any(d != different[0] for d in different):
        fix = "Write the camera you mean into a file of its own."
        raise ResectError(path, "the photo among the frames, or one camera for all of them", "neither", fix)
    return str(frames[0].get("file_path", "")).replace("\\", "/").removeprefix("./")


def _from_colmap(path: Path, photo: str, width: int, height: int) -> Camera:
    cameras = read_cameras(path)
    found = camera_for_photo(path.parent, cameras, photo) if photo else None
    if found is not None:
        return found
    fitting = [c for c in cameras.values() if (c.width, c.height) == (width, height)]
    chosen = fitting if len(cameras) > 1 else list(cameras.values())
    if len(chosen) != 1:
        fix = "Write the camera you mean into a file of its own."
        raise ResectError(path, "one camera that fits the photo", f"{len(chosen)} of {len(cameras)}", fix)
    return chosen[0]
