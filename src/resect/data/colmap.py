"""COLMAP models, text and binary, old and new (rigs and frames repeat what the images file says): read and written.

COLMAP's pixel origin is the image corner and its poses are cam_from_world with OpenCV axes, as ours.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from resect.artifact import write_atomic
from resect.data.gather import MAX_FRAMES, Frame, gather
from resect.data.pose_list import quaternion_order_note
from resect.data.rigid import number, rigid_from_quaternion
from resect.errors import ResectError, unknown_name
from resect.geometry import so3
from resect.geometry.camera import Camera, CameraModel
from resect.geometry.conventions import pixel_offset
from resect.geometry.se3 import SE3
from resect.types import PhotoSet

_MAX_BYTES = 8 << 30
_PLACES = ("sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", ".")
_IMAGE_FOLDERS = ("images", ".", "image", "rgb", "images_2", "images_4", "images_8")


@dataclass(frozen=True)
class _Lens:
    """How a COLMAP model's parameters are laid out: one or two focal lengths, then cx cy, then distortion."""

    number: int
    focals: int
    distortion: int
    model: CameraModel


_LENSES: dict[str, _Lens] = {
    "SIMPLE_PINHOLE": _Lens(0, 1, 0, "pinhole"),
    "PINHOLE": _Lens(1, 2, 0, "pinhole"),
    "SIMPLE_RADIAL": _Lens(2, 1, 1, "opencv"),
    "RADIAL": _Lens(3, 1, 2, "opencv"),
    "OPENCV": _Lens(4, 2, 4, "opencv"),
    "OPENCV_FISHEYE": _Lens(5, 2, 4, "fisheye"),
    "FULL_OPENCV": _Lens(6, 2, 8, "opencv"),
    "SIMPLE_RADIAL_FISHEYE": _Lens(8, 1, 1, "fisheye"),
    "RADIAL_FISHEYE": _Lens(9, 1, 2, "fisheye"),
    "SIMPLE_FISHEYE": _Lens(14, 1, 0, "fisheye"),
    "FISHEYE": _Lens(15, 2, 0, "fisheye"),
}
_NAME_OF_NUMBER = {lens.number: name for name, lens in _LENSES.items()}
_UNSUPPORTED = "Undistort the photos with 'colmap image_undistorter', or calibrate with OPENCV."


@dataclass(frozen=True, eq=False)
class ListedImage:
    """One line of an images file: its name, the number of its camera, and its pose (float64)."""

    name: str
    camera_id: int
    cam_from_world: SE3


def find_model(root: Path) -> Path | None:
    """The cameras file of the model in a folder, beside which lies an images file; `None` if there is none."""
    for place in _PLACES:
        for suffix in (".bin", ".txt"):
            path = root / place / f"cameras{suffix}"
            if path.is_file() and path.with_name(f"images{suffix}").is_file():
                return path
    return None


def read_colmap(root: Path) -> PhotoSet:
    """A COLMAP project folder: a model in `sparse/0`, `sparse` or the folder itself, and photos in `images`."""
    model = find_model(root)
    if model is None:
        raise ResectError(root, "cameras and images files (.bin or .txt) in sparse/0, sparse or the folder", "none")
    cameras = read_cameras(model)
    images_file = model.with_name(f"images{model.suffix}")
    images = read_images(images_file)
    if not images:
        raise ResectError(images_file, "at least one registered photo", "none")
    if root.name in ("0", "sparse") and model.parent == root:
        root = root.parent.parent if root.name == "0" else root.parent
    folder = _image_folder(root, images)
    frames = [
        Frame((Path(folder) / image.name).as_posix(), _constant(cameras, image, images_file), image.cam_from_world)
        for image in images
    ]
    kind = "text" if model.suffix == ".txt" else "binary"
    others = [p for p in model.parent.parent.glob("[1-9]*/cameras.*") if model.parent.name == "0"]
    notes = [f"{len({p.parent for p in others})} further models beside sparse/0 are not read."] if others else []
    notes += quaternion_order_note(SE3.stack([i.cam_from_world for i in images]), "wxyz", inverse=False)
    return gather(root, f"colmap ({kind})", frames, camera_source=model.name, notes=notes)


def read_cameras(path: Path) -> dict[int, Camera]:
    """Cameras by number, from cameras.txt or cameras.bin."""
    if path.suffix == ".txt":
        cameras = dict(_cameras_text(path))
    else:
        file = _Binary(path)
        count = file.count(24 + 8 * 3)
        cameras = dict(_camera_binary(file) for _ in range(count))
    if not cameras:
        raise ResectError(path, "at least one camera", "none")
    return cameras


def read_images(path: Path) -> list[ListedImage]:
    """Names, cameras and poses of the registered photos, from images.txt or images.bin; their points are skipped."""
    if path.suffix == ".txt":
        return list(_images_text(path))
    file = _Binary(path)
    return [_image_binary(file) for _ in range(file.count(64 + 1 + 8))]


def camera_for_photo(folder: Path, cameras: Mapping[int, Camera], name: str) -> Camera | None:
    """The camera of a photo by its file name, if the model in a folder lists exactly one such."""
    for suffix in (".bin", ".txt"):
        path = folder / f"images{suffix}"
        if path.is_file():
            found = {i.camera_id for i in read_images(path) if Path(i.name).name == Path(name).name}
            return cameras.get(found.pop()) if len(found) == 1 else None
    return None


def write_colmap(photos: PhotoSet, folder: Path) -> None:
    """Writes a model without points as cameras.txt, images.txt and points3D.txt; one camera for equal intrinsics.

    Photo names lose the folder that all of them share, as COLMAP's `--image_path` expects.
    """
    distinct = {camera: i + 1 for i, camera in enumerate(dict.fromkeys(photos.cameras))}
    shared = Path(photos.names[0]).parent.as_posix() + "/"
    strip = shared if shared != "./" and all(n.startswith(shared) for n in photos.names) else ""
    lines = []
    poses = photos.truth.cam_from_world.double()
    quaternions = so3.to_quaternion(poses.R).tolist()
    for i, name in enumerate(photos.names):
        values = " ".join(repr(float(x)) for x in (*quaternions[i], *poses.t[i].tolist()))
        lines += [f"{i + 1} {values} {distinct[photos.cameras[i]]} {name.removeprefix(strip)}", ""]
    text = "\n".join([f"{i} {_camera_line(camera)}" for camera, i in distinct.items()]) + "\n"
    write_atomic(folder / "cameras.txt", text.encode())
    write_atomic(folder / "images.txt", ("\n".join(lines) + "\n").encode())
    write_atomic(folder / "points3D.txt", b"# written by resect: poses only\n")


def _camera_line(camera: Camera) -> str:
    offset = pixel_offset("colmap")
    count = {"pinhole": 0, "opencv": 4 if len(camera.distortion) <= 4 else 8, "fisheye": 4}[camera.model]
    name = {0: "PINHOLE", 8: "FULL_OPENCV"}.get(count, "OPENCV_FISHEYE" if camera.model == "fisheye" else "OPENCV")
    distortion = (camera.distortion + (0.0,) * count)[:count]
    values = (camera.fx, camera.fy, camera.cx - offset, camera.cy - offset, *distortion)
    return f"{name} {camera.width} {camera.height} " + " ".join(repr(float(v)) for v in values)


def _camera(where: str, model: str, width: int, height: int, values: list[float]) -> Camera:
    if model not in _LENSES:
        error = unknown_name(where, model, _LENSES)
        raise ResectError(where, error.expected, error.got, _UNSUPPORTED)
    lens = _LENSES[model]
    if len(values) != lens.focals + 2 + lens.distortion:
        raise ResectError(where, f"{lens.focals + 2 + lens.distortion} numbers for {model}", str(len(values)))
    offset = pixel_offset("colmap")
    fx, fy = values[0], values[lens.focals - 1]
    cx, cy = (v + offset for v in values[lens.focals : lens.focals + 2])
    distortion = tuple(values[lens.focals + 2 :])
    return Camera(fx, fy, cx, cy, width, height, lens.model, distortion)


def _constant(cameras: Mapping[int, Camera], image: ListedImage, where: Path) -> "_Constant":
    if image.camera_id not in cameras:
        raise ResectError(f"{where}: {image.name}", "a camera of the cameras file", f"number {image.camera_id}")
    return _Constant(cameras[image.camera_id])


@dataclass(frozen=True)
class _Constant:
    camera: Camera

    def __call__(self, width: int, height: int) -> Camera:
        return self.camera


def _image_folder(root: Path, images: list[ListedImage]) -> str:
    """The folder that holds the most of the first listed photos."""
    probe = [i.name for i in images[:20]]
    counts = {f: sum((root / f / n).is_file() for n in probe) for f in _IMAGE_FOLDERS}
    return max(_IMAGE_FOLDERS, key=lambda f: counts[f])


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """(place, line) of a text file, without comments."""
    if path.stat().st_size > _MAX_BYTES:
        raise ResectError(path, f"at most {_MAX_BYTES >> 30} GiB", "more")
    with path.open(encoding="utf-8", errors="replace") as file:
        for i, line in enumerate(file):
            if not line.startswith("#"):
                yield f"{path}:{i + 1}", line.strip()


def _cameras_text(path: Path) -> Iterator[tuple[int, Camera]]:
    for where, line in _lines(path):
        words = line.split()
        if not words:
            continue
        if len(words) < 5 or not all(words[k].isdecimal() for k in (0, 2, 3)):
            raise ResectError(where, "CAMERA_ID MODEL WIDTH HEIGHT PARAMS", line[:80])
        values = [number(where, w) for w in words[4:]]
        yield int(words[0]), _camera(where, words[1], int(words[2]), int(words[3]), values)


def _images_text(path: Path) -> Iterator[ListedImage]:
    """Two lines a photo; the second, its points, may be empty."""
    header = True
    for where, line in _lines(path):
        if header and not line:
            continue
        if header:
            words = line.split(maxsplit=9)
            if len(words) != 10 or not words[8].isdecimal():
                raise ResectError(where, "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME", line[:80])
            values = [number(where, w) for w in words[1:8]]
            yield ListedImage(words[9], int(words[8]), rigid_from_quaternion(where, values[:4], values[4:]))
        header = not header


class _Binary:
    """A little-endian binary file that is never read beyond its end."""

    def __init__(self, path: Path) -> None:
        if path.stat().st_size > _MAX_BYTES:
            raise ResectError(path, f"at most {_MAX_BYTES >> 30} GiB", "more")
        self.path, self.data, self.at = path, path.read_bytes(), 0

    def take(self, layout: str) -> tuple[float, ...]:
        self.skip(struct.calcsize("<" + layout))
        return struct.unpack_from("<" + layout, self.data, self.at - struct.calcsize("<" + layout))

    def skip(self, count: int) -> None:
        if count > len(self.data) - self.at:
            raise ResectError(self.path, "a whole COLMAP binary file", f"its end at byte {len(self.data)}")
        self.at += count

    def count(self, least_bytes: int) -> int:
        (count,) = self.take("Q")
        if count > min(MAX_FRAMES, (len(self.data) - self.at) // least_bytes):
            raise ResectError(self.path, "a count that the file has room for", str(int(count)), "Is it cut short?")
        return int(count)

    def text(self) -> str:
        end = self.data.find(b"\0", self.at, self.at + 4096)
        if end < 0:
            raise ResectError(self.path, "a name that ends within 4096 bytes", f"none at byte {self.at}")
        start, self.at = self.at, end + 1
        return self.data[start:end].decode("utf-8", "replace")


def _camera_binary(file: _Binary) -> tuple[int, Camera]:
    camera_id, model, width, height = (int(x) for x in file.take("IiQQ"))
    where = f"{file.path}: camera {camera_id}"
    if model not in _NAME_OF_NUMBER:
        raise ResectError(where, f"one of {', '.join(_LENSES)}", f"camera model number {model}", _UNSUPPORTED)
    name = _NAME_OF_NUMBER[model]
    lens = _LENSES[name]
    values = file.take("d" * (lens.focals + 2 + lens.distortion))
    return camera_id, _camera(where, name, width, height, list(values))


def _image_binary(file: _Binary) -> ListedImage:
    values = file.take("IdddddddI")
    name = file.text()
    (points,) = file.take("Q")
    file.skip(int(points) * 24)
    where = f"{file.path}: {name}"
    return ListedImage(name, int(values[-1]), rigid_from_quaternion(where, values[1:5], values[5:8]))
