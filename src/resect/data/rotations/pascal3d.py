"""PASCAL3D+ (release 1.1): photos of things of twelve kinds, with the viewpoint of a fitted CAD model.

    <root>/{Annotations,Images}/<kind>_{pascal,imagenet}/<name>.{mat,jpg,JPEG}
    <root>/Image_sets/<kind>_imagenet_{train,val}.txt
    <root>/PASCAL/VOCdevkit/VOC2012/ImageSets/Main/<kind>_{train,val}.txt

Training: PASCAL's training list and both lists of ImageNet. Test: PASCAL's validation list (published work that tests
on ImageNet's is not comparable: 8.9° and 11.5° for one method). Photos whose first thing is occluded, truncated,
difficult, or without a distance are left out, as is usual.

A photo comes whole, with the annotation's camera (focal length 3000 as a rule, its principal point at (px, py)) and
box; what looks at it makes the virtual camera that faces the thing. Published code takes px for both coordinates of the
principal point, which turns labels by up to 6°; this does not.

Reference: Xiang, Mottaghi, Savarese, "Beyond PASCAL", WACV 2014.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from resect.data.image import read_image
from resect.data.rotation_set import RotationSet
from resect.data.rotations.arrays import PASCAL_KINDS as KINDS
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Photo, Target

_LISTS = {"train": ("pascal_train", "imagenet_train", "imagenet_val"), "test": ("pascal_val",)}
_FIRST_PIXEL = 1.0  # MATLAB's coordinate of the first pixel's centre, which is 0.5 here
_MOST_BYTES = 16 << 20
_FIX = "Correct the annotation, or take the photo off its list."


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """What an annotation says of the first thing.

    Attributes:
        kind: of the thing.
        cam_from_obj: its pose; the object stands z up, faces −y, CAD units.
        focal: in pixels.
        principal: from the image's corner, pixels.
        box: from the image's corner, pixels.
    """

    kind: str
    cam_from_obj: SE3
    focal: float
    principal: tuple[float, float]
    box: tuple[float, float, float, float]


def fits_pascal3d(folder: Path) -> bool:
    """Whether a folder is that of the release."""
    return (folder / "Annotations").is_dir() and (folder / "Image_sets").is_dir()


def read_pascal3d(root: Path, split: str = "train") -> RotationSet:
    """Reads all photos of a split that are not left out.

    Raises:
        ResectError: a missing list or annotation, or one that cannot be read.
    """
    if split not in _LISTS:
        raise ResectError("split", "train or test", repr(split), "For rendered crops too there is train+rendered.")
    found: list[tuple[Path, Viewpoint]] = []
    left_out = 0
    for image, annotation in _files(root, split):
        viewpoint = read_annotation(annotation)
        left_out += viewpoint is None
        if viewpoint is not None:
            found.append((image, viewpoint))
    if not found:
        fix = "Unpack Images and Annotations of the release beside the lists."
        raise ResectError(root, f"photos of the {split} split", "none", fix)
    names = tuple(image.relative_to(root).as_posix() for image, _ in found)
    pose = SE3.stack([v.cam_from_obj for _, v in found])

    def load(i: int) -> Photo:
        pixels, _ = read_image(found[i][0], upright=False)
        height, width = pixels.shape[:2]
        v = found[i][1]
        camera = Camera(v.focal, v.focal, *v.principal, width, height)
        return Photo(names[i], pixels, camera, "annotation", Target(v.kind, category=v.kind, box=v.box))

    note = f"{left_out} photos are left out: occluded, truncated, difficult, or without a distance"
    kinds = tuple(v.kind for _, v in found)
    return RotationSet("pascal3d", names, kinds, pose.R, load, translation=pose.t, notes=(note,))


def pascal_pose(azimuth_deg: float, elevation_deg: float, tilt_deg: float, distance: float) -> SE3:
    """`cam_from_obj` in the OpenCV frame of an annotated viewpoint; float64.

    The camera stands at distance · (cos e sin a, −cos e cos a, sin e) and looks at the origin; then the picture turns
    by the tilt.
    """
    a, e, tilt = (math.radians(x) for x in (azimuth_deg, elevation_deg, tilt_deg))
    center = distance * torch.tensor(
        [math.cos(e) * math.sin(a), -math.cos(e) * math.cos(a), math.sin(e)], dtype=torch.float64
    )
    x, _, z = torch.eye(3, dtype=torch.float64)
    rotation = so3.exp(z * tilt) @ so3.exp(x * (e - math.pi / 2)) @ so3.exp(z * -a)
    rotation = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)[:, None] * rotation
    return SE3(rotation, -(rotation @ center))


def read_annotation(path: Path) -> Viewpoint | None:
    """The first thing's viewpoint; `None` where it is one to leave out."""
    thing = _first_thing(path)
    view = _part(thing, "viewpoint")
    if view is None or view.dtype.names is None or "distance" not in view.dtype.names:
        return None
    if any(_number(path, thing, name) for name in ("occluded", "difficult", "truncated")):
        return None
    distance = _number(path, view, "distance")
    box = _part(thing, "bbox")
    if distance <= 0 or box is None or box.size != 4:
        return None
    left, top, right, bottom = (float(x) for x in box.reshape(-1))
    if not (left < right and top < bottom):
        return None
    azimuth, elevation, tilt = (_number(path, view, name) for name in ("azimuth", "elevation", "theta"))
    pose = pascal_pose(azimuth, elevation, tilt, distance)
    shift = 0.5 - _FIRST_PIXEL
    edges = (left + shift - 0.5, top + shift - 0.5, right + shift + 0.5, bottom + shift + 0.5)
    principal = (_number(path, view, "px") + shift, _number(path, view, "py") + shift)
    focal = _number(path, view, "focal") * _number(path, view, "viewport")
    kind = str(_text(thing))
    if kind not in KINDS:
        fix = "Other kinds are not part of the release; write a rotations.csv for them."
        raise ResectError(path, f"a thing of {', '.join(KINDS)}", repr(kind), fix)
    return Viewpoint(kind, pose, focal, principal, edges)


def _files(root: Path, split: str) -> Iterator[tuple[Path, Path]]:
    for kind in KINDS:
        for name in _LISTS[split]:
            source, part = name.split("_")
            listed = root / f"Image_sets/{kind}_imagenet_{part}.txt"
            if source == "pascal":
                listed = root / f"PASCAL/VOCdevkit/VOC2012/ImageSets/Main/{kind}_{part}.txt"
            if not listed.is_file():
                raise ResectError(listed, "a list of photos", "no file", "Unpack the whole release.")
            for line in listed.read_text(encoding="utf-8").split("\n"):
                word = line.split(" ")[0].strip()
                if not word:
                    continue
                if Path(word).name != word:
                    fix = "A line is a photo's name, perhaps with 1 or -1."
                    raise ResectError(listed, "names of photos", repr(word)[:80], fix)
                image = root / f"Images/{kind}_{source}/{word}{'.jpg' if source == 'pascal' else '.JPEG'}"
                if image.is_file() or source == "imagenet":  # PASCAL's lists name all photos, whatever they show
                    yield image, root / f"Annotations/{kind}_{source}/{word}.mat"


def _first_thing(path: Path) -> Any:
    from scipy.io import loadmat

    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        fix = "Unpack the whole release."
        raise ResectError(path, f"an annotation of at most {_MOST_BYTES >> 20} MiB", "none or a larger one", fix)
    try:
        record = loadmat(path, variable_names=["record"])["record"]
        return record["objects"].flat[0].flat[0]
    except Exception as error:  # SciPy raises whatever damaged files bring about
        got, fix = f"{type(error).__name__}: {error}", "Unpack the release again, or take the photo off its list."
        raise ResectError(path, "a PASCAL3D+ annotation (record.objects)", got, fix) from None


def _part(thing: Any, name: str) -> Any:
    names = thing.dtype.names or ()
    return thing[name] if name in names else None


def _number(path: Path, part: Any, name: str) -> float:
    """A number that MATLAB wrapped in arrays; 0 where there is none."""
    value = _part(part, name)
    while getattr(value, "dtype", None) is not None and value.dtype == object and value.size:
        value = value.flat[0]
    if value is None or getattr(value, "size", 1) == 0:
        return 0.0
    try:
        found = float(value.flat[0] if hasattr(value, "flat") else value)
    except (TypeError, ValueError):
        raise ResectError(f"{path}: {name}", "a number", repr(value)[:80], _FIX) from None
    if not math.isfinite(found):
        raise ResectError(f"{path}: {name}", "a finite number", str(found), _FIX)
    return found


def _text(thing: Any) -> str:
    value = _part(thing, "class")
    while getattr(value, "dtype", None) is not None and value.dtype == object and value.size:
        value = value.flat[0]
    return str(value.flat[0]) if getattr(value, "size", 0) else str(value)
