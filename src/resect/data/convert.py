"""A posed photo set written as another format, photos included, so that the folder stands on its own."""

import shutil
from pathlib import Path
from typing import Any, Literal, assert_never

from resect.artifact import write_atomic
from resect.data.camera_file import write_camera
from resect.data.colmap import write_colmap
from resect.data.image import png_bytes, read_header
from resect.data.scale import scale_world
from resect.data.transforms import write_transforms
from resect.data.tum import write_tum
from resect.errors import ResectError
from resect.types import PhotoSet

Format = Literal["transforms", "colmap", "tum"]
_MARKERS: dict[Format, str] = {
    "transforms": "transforms.json",
    "colmap": "sparse/0/cameras.txt",
    "tum": "groundtruth.txt",
}


def convert(
    photos: PhotoSet, out: Path, format_name: Format, *, copy_photos: bool = True, overwrite: bool = False
) -> list[str]:
    """Writes a photo set to a folder as "transforms", "colmap" or "tum", and returns what did not fit the format.

    Masks and depth go along in "transforms"; "colmap" and "tum" have no place for them. TUM is in metres and has one
    camera, written as `camera.json` beside it. Photos are copied as they are, or upright where EXIF turns them.

    Args:
        photos: what to write.
        out: folder; its own folder (no copies are made then) or a new one.
        format_name: which format.
        copy_photos: copy the photos too; without them the folder cannot be read back.
        overwrite: replace poses and photos that are there already.
    """
    if len(set(photos.names)) < len(photos):
        fix = "Several objects share an image; the format 'bop' has a place for them."
        raise ResectError(photos.root, "one pose for each photo", f"{len(photos)} in {len(set(photos.names))}", fix)
    marker = out / _MARKERS[format_name]
    if marker.exists() and not overwrite:
        raise ResectError(marker, "a new file", "one that is there already", "Give another --out, or --overwrite.")
    if copy_photos and out.resolve() != photos.root.resolve():
        taken = [name for name in photos.names if (out / name).exists()]
        if taken and not overwrite:
            raise ResectError(out, "a folder without photos of these names", taken[0], "Give another --out.")
        for i, name in enumerate(photos.names):
            _copy_photo(photos, i, out / name)
    notes: list[str] = []
    if format_name == "transforms":
        keys = [_side_files(photos, i, out) for i in range(len(photos))] if copy_photos else None
        write_transforms(photos, marker, frame_keys=keys)
        notes = [] if copy_photos else _lost(photos)
    elif format_name == "colmap":
        write_colmap(photos, marker.parent)
        notes = _lost(photos)
    elif format_name == "tum":
        notes = [*_tum(photos, out), *_lost(photos)]
    else:
        assert_never(format_name)
    return notes


def _copy_photo(photos: PhotoSet, index: int, path: Path) -> None:
    source = photos.root / photos.names[index]
    path.parent.mkdir(parents=True, exist_ok=True)
    if read_header(source).orientation == 1:
        shutil.copyfile(source, path)
        return
    from PIL import Image

    pixels = (photos[index].image * 255).round().byte().numpy()
    Image.fromarray(pixels).save(path, quality=95)


def _side_files(photos: PhotoSet, index: int, out: Path) -> dict[str, Any]:
    photo = photos[index]
    stem = Path(photo.name).with_suffix("").as_posix().replace("/", "_")
    keys: dict[str, Any] = {}
    if photo.mask is not None:
        keys["mask_path"] = f"masks/{stem}.png"
        write_atomic(out / keys["mask_path"], png_bytes(photo.mask.byte() * 255))
    if photo.depth is not None:
        # The full 16-bit range but its last value, which some cameras use for "none".
        keys["depth_unit_scale_factor"] = max(float(photo.depth.max()), 1e-6) / 65534
        counts = (photo.depth / keys["depth_unit_scale_factor"]).round().clamp(0, 65534)
        keys["depth_file_path"] = f"depth/{stem}.png"
        write_atomic(out / keys["depth_file_path"], png_bytes(counts))
    return keys


def _lost(photos: PhotoSet) -> list[str]:
    first = photos[0]
    lost = [name for name, value in (("masks", first.mask), ("depth", first.depth)) if value is not None]
    return [f"{' and '.join(lost).capitalize()} are not written; transforms with photos keeps them."] if lost else []


def _tum(photos: PhotoSet, out: Path) -> list[str]:
    if len(set(photos.cameras)) > 1:
        raise ResectError(photos.root, "one camera for all photos", f"{len(set(photos.cameras))}", "Use transforms.")
    meters = photos.world.meters_per_unit
    notes = [] if meters is not None else ["TUM is in metres, but the length of a unit is unknown: units are written."]
    write_camera(photos.cameras[0], out / "camera.json")
    lines = "".join(f"{i}.0 {name}\n" for i, name in enumerate(photos.names))
    write_atomic(out / "rgb.txt", lines.encode())
    write_tum(photos if meters is None else scale_world(photos, meters), out / "groundtruth.txt")
    return notes
