"""A new photo and its camera: from a flag, a file, an entry beside it, EXIF, or the scene, and it is said which."""

import math
from pathlib import Path

from resect.data.camera_file import read_camera
from resect.data.colmap import camera_for_photo, find_model, read_cameras
from resect.data.exif import camera_from_exif
from resect.data.image import Header, read_depth, read_header, read_image
from resect.data.transforms import camera_from_transforms, find_transforms
from resect.data.turn import turn_camera
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.types import Photo

_ASPECT_TOLERANCE = 0.01


def read_photo(
    path: Path | str,
    *,
    camera: Camera | None = None,
    camera_file: Path | str | None = None,
    fov_deg: float | None = None,
    scene_camera: Camera | None = None,
    name: str | None = None,
    depth_file: Path | str | None = None,
    depth_unit: float = 0.001,
) -> Photo:
    """A photo, upright, with the best camera that is known for it and where that came from.

    In this order: `camera`, `camera_file` or `fov_deg` ("flag"); the photo's entry in a transforms file or COLMAP model
    found beside it (the file's name); the focal length in EXIF ("exif"); the scene's own camera when the upright shape
    agrees within 1 % ("scene"); else none ("unknown").

    Args:
        path: image file.
        camera: intrinsics of the upright or the stored picture, at any size of the same shape.
        camera_file: see `camera_file.read_camera`.
        fov_deg: horizontal field of view of the upright picture, degrees.
        scene_camera: camera that the scene's training photos were taken with, upright.
        name: name to give the photo; default: the file's name.
        depth_file: 16-bit image of the depth along the optical axis, on the photo's pixels; 0 where unknown.
        depth_unit: world units per number stored in it.
    """
    path = Path(path)
    if sum(x is not None for x in (camera, camera_file, fov_deg)) > 1:
        raise ResectError(path, "one of camera, camera_file and fov_deg", "more than one")
    header = read_header(path)
    image, alpha = read_image(path)
    found, source = _camera(path, header, camera, camera_file, fov_deg, scene_camera)
    depth = None
    if depth_file is not None:
        depth = read_depth(depth_file, depth_unit, image.shape[1], image.shape[0], header.orientation)
    return Photo(name or path.name, image, found, source, depth=depth, alpha=alpha)


def fit_camera(camera: Camera, header: Header, where: object) -> Camera:
    """The camera of the upright picture, from one of the stored or the upright picture at any size.

    A camera whose shape fits both is taken for the stored picture's where their shapes are the same.
    """
    for width, height, orientation in (
        (header.width, header.height, header.orientation),
        (*header.upright, 1),
    ):
        if _same_shape(camera, width, height):
            return turn_camera(camera.rescale(width, height), orientation)
    size = "x".join(str(s) for s in header.upright)
    fix = "Give the camera of this photo; one of another shape does not fit."
    raise ResectError(where, f"a camera with the photo's shape ({size})", f"{camera.width}x{camera.height}", fix)


def _camera(
    path: Path,
    header: Header,
    camera: Camera | None,
    camera_file: Path | str | None,
    fov_deg: float | None,
    scene_camera: Camera | None,
) -> tuple[Camera | None, str]:
    if camera_file is not None:
        camera = read_camera(camera_file, path.name, header.width, header.height)
    if camera is not None:
        return fit_camera(camera, header, camera_file or "camera"), "flag"
    width, height = header.upright
    if fov_deg is not None:
        return Camera.from_fov(math.radians(fov_deg), width, height), "flag"
    found, source = _beside(path, header)
    if found is not None:
        return fit_camera(found, header, source), source
    found = camera_from_exif(header.exif, width, height)
    if found is not None:
        return found, "exif"
    if scene_camera is not None and _same_shape(scene_camera, width, height):
        return scene_camera.rescale(width, height), "scene"
    return None, "unknown"


def _beside(path: Path, header: Header) -> tuple[Camera | None, str]:
    """Intrinsics of the photo's entry in a pose file in its folder or one of the two above."""
    path = path.resolve()
    for folder in list(path.parents)[:3]:
        name = path.relative_to(folder).as_posix()
        for file in find_transforms(folder):
            found = camera_from_transforms(file, name, header.width, header.height)
            if found is not None:
                return found, file.name
        model = find_model(folder)
        if model is not None:
            found = camera_for_photo(model.parent, read_cameras(model), path.name)
            if found is not None:
                return found, model.name
    return None, ""


def _same_shape(camera: Camera, width: int, height: int) -> bool:
    return abs(math.log(camera.width * height / (camera.height * width))) <= _ASPECT_TOLERANCE
