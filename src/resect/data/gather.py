"""What every reader ends with: the frames that a pose file lists become a `PhotoSet` of the photos that exist.

Frames without an image are skipped and named. Photos are turned upright together with their camera and pose, and a
camera given for another size of the same picture is rescaled to the file's.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from torch import Tensor

from resect.data.image import Header, read_depth, read_header, read_image, read_mask
from resect.data.turn import turn_cam_from_world, turn_camera
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Photo, PhotoSet, Split, Truth, World

Part = Literal["train", "val", "test"]
MAX_FRAMES = 1_000_000
_SUFFIXES = (".png", ".jpg", ".jpeg", ".JPG", ".PNG", ".JPEG")


@dataclass(frozen=True, eq=False)
class Frame:
    """One photo as a pose file lists it.

    Attributes:
        name: path of the image relative to the data folder.
        camera: intrinsics, given the stored image's (width, height).
        cam_from_world: its pose, float64.
        mask: mask image relative to the data folder.
        depth: depth image relative to the data folder.
        units_per_count: world units per number stored in the depth image.
        register: moves a depth image of another camera to the photo's pixels.
        part: which part of a given split it belongs to.
    """

    name: str
    camera: Callable[[int, int], Camera]
    cam_from_world: SE3
    mask: str | None = None
    depth: str | None = None
    units_per_count: float = 0.001
    register: Callable[[Tensor, Camera], Tensor] | None = None
    part: Part | None = None


def inside(root: Path, name: str, where: object) -> Path:
    """The path of a file named by a pose file; it must lie within the data folder."""
    relative = os.path.relpath(os.path.join(root, name.replace("\\", "/")), root)
    if "\0" in name or relative == os.pardir or relative.startswith(os.pardir + os.sep):
        raise ResectError(where, f"a path inside {root}", repr(name), "Move the images into the data folder.")
    return root / relative


def gather(
    root: Path,
    format_name: str,
    frames: Sequence[Frame],
    *,
    world: World | None = None,
    camera_source: str,
    notes: Sequence[str] = (),
) -> PhotoSet:
    """The photos that exist, sorted by name, read when asked for.

    Raises:
        ResectError: no image exists, one photo has two poses, an image's shape is not its camera's.
    """
    if len(frames) > MAX_FRAMES:
        raise ResectError(root, f"at most {MAX_FRAMES} photos", str(len(frames)))
    found, missing = [], []
    for frame in frames:
        name = _existing(root, frame.name)
        if name is None:
            missing.append(frame.name)
        else:
            found.append(replace(frame, name=name))
    said = [*notes, *_missing_note(root, missing, len(frames))]
    if not found:
        raise ResectError(root, "at least one of the listed photos to exist", f"none of {len(frames)}", *said[-1:])
    found = _unique(root, sorted(found, key=lambda f: f.name))
    loaders = [_loader(root, frame, camera_source) for frame in found]
    turned = sum(loader.header.orientation > 1 and loader.turned > 1 for loader in loaders)
    if turned:
        said.append(f"{turned} photos are turned upright by their EXIF orientation, with their cameras and poses.")
    opaque = [loader.frame.name for loader in loaders if not loader.header.transparent]
    if 0 < len(opaque) < len(loaders):
        some = f"{len(opaque)} of {len(loaders)} photos are not transparent where the others are, such as {opaque[0]}"
        said.append(f"{some}: what is behind the object counts as part of these.")
    poses = SE3.stack([_upright(loader) for loader in loaders])
    return PhotoSet(
        root=root,
        format=format_name,
        names=tuple(f.name for f in found),
        cameras=tuple(loader.camera for loader in loaders),
        truth=Truth(poses),
        world=world or World(),
        load=lambda i: loaders[i].read(),
        given_split=given_split([f.part for f in found]),
        notes=tuple(said),
    )


@dataclass(frozen=True, eq=False)
class _Loader:
    root: Path
    frame: Frame
    header: Header
    turned: int
    camera: Camera
    camera_source: str

    def read(self) -> Photo:
        frame, camera = self.frame, self.camera
        image, alpha = read_image(self.root / frame.name, upright=self.turned > 1 or _is_upright(self))
        size = (camera.width, camera.height)
        mask = None if frame.mask is None else read_mask(self.root / frame.mask, *size, self.turned)
        depth = None
        if frame.depth is not None:
            depth = read_depth(self.root / frame.depth, frame.units_per_count, *size, self.turned)
            depth = depth if frame.register is None else frame.register(depth, camera)
        return Photo(frame.name, image, camera, self.camera_source, depth=depth, alpha=alpha, mask=mask)


def _is_upright(loader: _Loader) -> bool:
    return (loader.camera.width, loader.camera.height) == loader.header.upright


def _upright(loader: _Loader) -> SE3:
    return turn_cam_from_world(loader.frame.cam_from_world, loader.turned, loader.frame.name)


def _loader(root: Path, frame: Frame, camera_source: str) -> _Loader:
    """Decides whether a pose file speaks of the stored picture or of the upright one: by the shape it gives.

    Where both have the same shape, it is the stored one, since COLMAP ignores EXIF orientation.
    """
    header = read_header(root / frame.name)
    camera = frame.camera(header.width, header.height)
    stored = _fitted(camera, header.width, header.height)
    if stored is not None:
        return _Loader(root, frame, header, header.orientation, turn_camera(stored, header.orientation), camera_source)
    upright = _fitted(camera, *header.upright)
    if upright is None:
        expected = f"an image of {camera.width}x{camera.height} or a resized one"
        fix = "The camera does not belong to this image; was it cropped?"
        raise ResectError(root / frame.name, expected, f"{header.width}x{header.height}", fix)
    return _Loader(root, frame, header, 1, upright, camera_source)


def _fitted(camera: Camera, width: int, height: int) -> Camera | None:
    """The camera at another size of the same picture; `None` if the shape differs by more than a pixel's rounding."""
    off = (
        camera.height * width / camera.width - height,
        camera.width * height / camera.height - width,
        height * camera.width / width - camera.height,
        width * camera.height / height - camera.width,
    )
    return camera.rescale(width, height) if min(map(abs, off)) <= 1 else None


def _existing(root: Path, name: str) -> str | None:
    """The name relative to the root of the image that a pose file means; Blender leaves the suffix out."""
    path = inside(root, name, root)
    for candidate in (path, *(path.with_name(path.name + s) for s in _SUFFIXES)):
        if candidate.is_file():
            return candidate.relative_to(root).as_posix()
    return None


def _unique(root: Path, frames: list[Frame]) -> list[Frame]:
    kept: list[Frame] = []
    for frame in frames:
        if not kept or kept[-1].name != frame.name:
            kept.append(frame)
            continue
        gap = kept[-1].cam_from_world.matrix() - frame.cam_from_world.matrix()
        if float(gap.abs().max()) > 1e-6:
            raise ResectError(root / frame.name, "one pose for each photo", "two that differ")
    return kept


def _missing_note(root: Path, missing: list[str], total: int) -> list[str]:
    if not missing:
        return []
    shown = ", ".join(sorted(missing)[:5]) + (" …" if len(missing) > 5 else "")
    return [f"{len(missing)} of {total} listed images are missing and were skipped: {shown} (of {root})"]


def given_split(parts: Sequence[Part | None]) -> Split | None:
    """The split that photos come with, by which half each belongs to; `None` unless both halves are there."""
    held_out = "val" if "val" in parts else "test"
    if "train" not in parts or held_out not in parts:
        return None
    train = tuple(i for i, part in enumerate(parts) if part == "train")
    return Split(train, tuple(i for i, part in enumerate(parts) if part == held_out), "given")
