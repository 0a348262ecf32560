"""Views of the instances of a category, in the layout of Scene Representation Networks' ShapeNet renders.

    ROOT/INSTANCE/rgb/*.png      ROOT/INSTANCE/pose/*.txt (world from camera, 4×4)      ROOT/INSTANCE/intrinsics.txt

`intrinsics.txt`: `f cx cy 0`, a line with the middle of the grid, one with a scale, `height width`; a fifth line is a
flag that nothing reads. Cameras look along +z with y down. One focal length serves both axes; images are cropped to a
square about their middle. In a variant for photos of known objects `intrinsics.txt` holds the nine numbers of a camera
matrix at the images' size, with a focal length for each axis, and a pose file twelve, camera from object.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from resect.data.image import read_header, read_image
from resect.data.rigid import number, rigid_from_matrix
from resect.data.unpack import unpack
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.conventions import pixel_offset
from resect.geometry.se3 import SE3
from resect.types import Photo, PhotoSet, Target, Truth, World

_IMAGES = (".png", ".jpg", ".jpeg")
_MOST_INSTANCES, _MOST_VIEWS = 100_000, 100_000
_MOST_CHARACTERS = 10_000
_MOST_BYTES = 64 << 30
_LAYOUT = (
    "Each instance is a folder with rgb/*.png, pose/*.txt and intrinsics.txt: 'resect data instances' writes such."
)


@dataclass(frozen=True, eq=False)
class InstanceSet:
    """Posed photos of several instances of a category, in one frame.

    Attributes:
        photos: all of them; the object of each is its instance's name.
        instance: number of each photo's instance.
        names: of the instances, sorted.
    """

    photos: PhotoSet
    instance: Int[Tensor, "n"]
    names: tuple[str, ...]

    def of(self, instance: int) -> PhotoSet:
        """The photos of one of them."""
        if not 0 <= instance < len(self.names):
            raise ResectError("instance", f"a number from 0 to {len(self.names) - 1}", str(instance), "Count from 0.")
        return self.photos.subset((self.instance == instance).nonzero()[:, 0].tolist())


def is_instances(root: Path) -> bool:
    """Whether a folder is laid out like this."""
    return root.is_dir() and any((p / "intrinsics.txt").is_file() for p in root.iterdir() if p.is_dir())


def read_instances(
    root: Path | str, views: int = 0, instances: tuple[str, ...] = (), numbers: tuple[int, ...] = ()
) -> InstanceSet:
    """Reads a folder of instances; images are read when they are asked for.

    Args:
        root: the folder, or a zip file of it, which is unpacked beside itself once.
        views: of each instance, evenly spread over those there are; 0 takes all.
        instances: names of those to take; all when empty.
        numbers: of the views to take of each instance, from 0 in the order of their names, in place of `views`.

    Raises:
        ResectError: an image without a pose or the other way round, missing or broken intrinsics, another number of
            views than asked for, a name that is not there.
    """
    root = _unpacked(Path(root))
    folders = sorted(p for p in root.iterdir() if (p / "rgb").is_dir()) if root.is_dir() else []
    if not folders or len(folders) > _MOST_INSTANCES:
        got = f"{len(folders)} folders with rgb/"
        raise ResectError(root, f"1 to {_MOST_INSTANCES} folders INSTANCE/rgb", got, _LAYOUT)
    names = {p.name: p for p in folders}
    if missing := [name for name in instances if name not in names]:
        raise unknown_name(f"instances of {root}", missing[0], names)
    chosen = [names[name] for name in instances] if instances else folders
    files, cameras, poses, which = list[Path](), list[Camera](), list[SE3](), list[int]()
    sizes = list[tuple[int, int]]()
    for k, folder in enumerate(chosen):
        images = _views(folder, views, numbers)
        size = _size(images[0])
        camera = _square(_intrinsics(folder / "intrinsics.txt", size), size)
        for image in images:
            files.append(image)
            cameras.append(camera)
            sizes.append(size)
            poses.append(_cam_from_world(folder / "pose" / f"{image.stem}.txt"))
            which.append(k)
    objects = tuple(p.name for p in chosen)
    found = PhotoSet(
        root,
        "srn",
        tuple(f.relative_to(root).as_posix() for f in files),
        tuple(cameras),
        Truth(SE3.stack(poses)),
        World(),
        _loader(root, files, cameras, sizes, [objects[k] for k in which]),
    )
    return InstanceSet(found, torch.tensor(which), objects)


def _unpacked(root: Path) -> Path:
    """The folder of instances of a zip file: `cars_train` of `cars_train.zip`."""
    if not root.is_file():
        return root
    folder = root.with_suffix("")
    if not folder.is_dir():
        unpack(root, folder, most_bytes=_MOST_BYTES)
    inside = [p for p in folder.iterdir() if p.is_dir()]
    return inside[0] if len(inside) == 1 and is_instances(inside[0]) else folder


def _loader(
    root: Path, files: list[Path], cameras: list[Camera], sizes: list[tuple[int, int]], objects: list[str]
) -> Callable[[int], Photo]:
    def load(index: int) -> Photo:
        rgb, alpha = read_image(files[index])
        height, width = rgb.shape[:2]
        if (width, height) != sizes[index]:
            expected = "{} x {} pixels, as its instance's first image".format(*sizes[index])
            fix = "One intrinsics.txt is for all images of an instance: make them of one size."
            raise ResectError(files[index], expected, f"{width} x {height}", fix)
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = rgb[top : top + side, left : left + side]
        alpha = None if alpha is None else alpha[top : top + side, left : left + side]
        name = files[index].relative_to(root).as_posix()
        target = Target(objects[index])
        return Photo(name, image, cameras[index], "dataset", target=target, alpha=alpha)

    return load


def _views(folder: Path, count: int, numbers: tuple[int, ...]) -> list[Path]:
    """Images of an instance that have poses: these numbers, or evenly spread."""
    images = sorted(p for p in (folder / "rgb").iterdir() if p.suffix.lower() in _IMAGES)
    poses = {p.stem for p in (folder / "pose").glob("*.txt")}
    stems = {p.stem for p in images}
    if not images or stems != poses or len(images) > _MOST_VIEWS:
        alone = sorted(stems ^ poses)
        got = f"{len(images)} images, {len(poses)} poses; without their partner: {', '.join(alone[:3]) or 'none'}"
        fix = "Each rgb/NAME.png needs its pose/NAME.txt; remove what has no partner."
        raise ResectError(folder, f"1 to {_MOST_VIEWS} images in rgb/ and as many poses in pose/", got, fix)
    if numbers:
        if not all(0 <= n < len(images) for n in numbers):
            got = ", ".join(map(str, numbers))
            raise ResectError(folder, f"numbers of views from 0 to {len(images) - 1}", got, "Count from 0.")
        return [images[n] for n in numbers]
    if count > len(images):
        fix = f"Take {len(images)} views or fewer, or 0 for all: instances may have different numbers of them."
        raise ResectError(folder, f"{count} views of each instance", f"{len(images)}", fix)
    return [images[k * len(images) // count] for k in range(count)] if count else images


def _numbers(path: Path, most: int = _MOST_CHARACTERS) -> list[list[float]]:
    """Lines of numbers."""
    if not path.is_file():
        raise ResectError(path, "a text file", "no file", _LAYOUT)
    if path.stat().st_size > most:
        raise ResectError(path, f"at most {most} characters", str(path.stat().st_size), _LAYOUT)
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return [[number(f"{path}, line {k}", x) for x in line.split()] for k, line in enumerate(lines, 1) if line.split()]


def _intrinsics(path: Path, size: tuple[int, int]) -> Camera:
    rows, offset = _numbers(path), pixel_offset("srn")
    flat = [x for row in rows for x in row]
    if len(flat) == 9:
        fx, skew, cx, zero, fy, cy, *last = flat
        if not (fx > 0 and fy > 0 and skew == zero == 0 and last == [0, 0, 1]):
            fix = "Its nine numbers are fx 0 cx 0 fy cy 0 0 1."
            raise ResectError(path, "a camera matrix without skew", str(flat), fix)
        return Camera(fx, fy, cx + offset, cy + offset, *size)
    if len(rows) < 4 or len(rows[0]) < 3 or len(rows[3]) != 2:
        got = f"{len(rows)} lines, the first of {len(rows[0]) if rows else 0} numbers"
        raise ResectError(path, "lines 'f cx cy 0', 'x y z', 'scale', 'height width'", got, _LAYOUT)
    (focal, cx, cy), (height, width) = rows[0][:3], rows[3]
    if not focal > 0 or min(height, width) < 1 or height != int(height) or width != int(width):
        got = f"f {focal:g}, size {height:g} x {width:g}"
        raise ResectError(
            path, "a focal length and a size above 0", got, "Its lines are 'f cx cy 0', …, 'height width'."
        )
    if abs(width * size[1] - height * size[0]) > 2 * max(width, height):  # rounding to a pixel
        got = f"images of {size[0]} x {size[1]} and a camera of {int(width)} x {int(height)}"
        fix = "Its fourth line is 'height width' at which f, cx, cy hold; images may be smaller, but not squeezed."
        raise ResectError(path, "the images' own shape", got, fix)
    return Camera(focal, focal, cx + offset, cy + offset, int(width), int(height))


def _square(camera: Camera, size: tuple[int, int]) -> Camera:
    """The camera of the square in the middle of an image of this (width, height)."""
    at_size = camera.rescale(*size)
    side = min(size)
    return at_size.crop((size[0] - side) // 2, (size[1] - side) // 2, side, side)


def _size(path: Path) -> tuple[int, int]:
    header = read_header(path)
    return header.width, header.height


def _cam_from_world(path: Path) -> SE3:
    values = [x for row in _numbers(path) for x in row]
    if len(values) not in (12, 16):
        expected = "16 numbers, world from camera, or 12, camera from object"
        raise ResectError(path, expected, f"{len(values)}", "Write the matrix row by row, y down and z forward.")
    rows = [values[k : k + 4] for k in range(0, len(values), 4)]
    found = rigid_from_matrix(path, rows if len(rows) == 4 else [*rows, [0.0, 0.0, 0.0, 1.0]])
    return found.inverse() if len(rows) == 4 else found


def write_instance(folder: Path, images: list[bytes], camera: Camera, cam_from_world: SE3) -> None:
    """Writes one instance: PNG images, poses and intrinsics.

    Args:
        folder: of the instance, which must not be there.
        images: PNG files.
        camera: of all; square pixels and no distortion.
        cam_from_world: N poses.
    """
    if folder.exists():
        raise ResectError(folder, "a new folder", "one that exists", "Choose another --out.")
    if camera.distortion or abs(camera.fx - camera.fy) > 1e-6 * camera.fx:
        fix = "Undistort the images first."
        raise ResectError(folder, "a camera with square pixels and no distortion", str(camera), fix)
    (folder / "rgb").mkdir(parents=True)
    (folder / "pose").mkdir()
    matrices = cam_from_world.double().inverse().matrix().flatten(1).tolist()
    for k, (image, matrix) in enumerate(zip(images, matrices, strict=True)):
        (folder / "rgb" / f"{k:06d}.png").write_bytes(image)
        (folder / "pose" / f"{k:06d}.txt").write_text(" ".join(f"{x:.9g}" for x in matrix) + "\n")
    offset = pixel_offset("srn")
    lines = [f"{camera.fx:.9g} {camera.cx - offset:.9g} {camera.cy - offset:.9g} 0.", "0. 0. 0.", "1."]
    (folder / "intrinsics.txt").write_text("\n".join([*lines, f"{camera.height} {camera.width}", ""]))
