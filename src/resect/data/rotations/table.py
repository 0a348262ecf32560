"""Resect's own folder of images with rotations: `rotations.csv` and the images beside it.

    # resect-rotations 1 | cam_from_obj | opencv camera | quaternion wxyz
    photo,category,qw,qx,qy,qz,tx,ty,tz,fx,fy,cx,cy,left,top,right,bottom

Empty cells are unknown. A translation is in the object's units, the camera a pinhole in pixels from the image's corner,
the box that of the visible part. What other lenses show is written as a pinhole shows it.
"""

import csv
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from resect.artifact import write_atomic
from resect.data.image import png_bytes, read_image, resize_area
from resect.data.rotation_set import RotationSet
from resect.data.seen_through import seen_through
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.types import Photo, Target

ROTATIONS_FILE = "rotations.csv"
_HEAD = "# resect-rotations 1 | cam_from_obj | opencv camera | quaternion wxyz"
_GROUPS = {
    "quaternion": ("qw", "qx", "qy", "qz"),
    "translation": ("tx", "ty", "tz"),
    "camera": ("fx", "fy", "cx", "cy"),
    "box": ("left", "top", "right", "bottom"),
}
_COLUMNS = ("photo", "category", *(name for names in _GROUPS.values() for name in names))
_MOST_BYTES = 1 << 30
_FIX = "Correct the cells, or leave all of them empty where they are unknown."


def read_rotation_table(folder: Path) -> RotationSet:
    """Reads a folder with `rotations.csv`.

    Raises:
        ResectError: no such file, a line of another form, or an image outside the folder, naming the line.
    """
    path = folder / ROTATIONS_FILE
    lines = _lines(path)
    rows = [_row(f"{path}, line {k}", line) for k, line in enumerate(lines, start=3)]
    names = tuple(line["photo"] for line in lines)
    categories = tuple(line["category"] for line in lines)
    for k, name in enumerate(names, start=3):
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            fix = "Put the images beside the table and name them from there."
            raise ResectError(f"{path}, line {k}", "images in the table's folder", repr(name), fix)
    quaternion = torch.tensor([row["quaternion"] for row in rows], dtype=torch.float64).view(-1, 4)
    moved = [row["translation"] for row in rows]
    translation = None if None in moved else torch.tensor(moved, dtype=torch.float64).view(-1, 3)

    def load(i: int) -> Photo:
        image, alpha = read_image(folder / names[i])
        height, width = image.shape[:2]
        lens, box = rows[i]["camera"], rows[i]["box"]
        camera = None if lens is None else Camera(lens[0], lens[1], lens[2], lens[3], width, height)
        corners = None if box is None else (box[0], box[1], box[2], box[3])
        target = Target(categories[i] or "object", category=categories[i], box=corners)
        return Photo(names[i], image, camera, ROTATIONS_FILE if camera else "unknown", target, alpha=alpha)

    return RotationSet("rotations", names, categories, so3.from_quaternion(quaternion), load, translation=translation)


def write_rotation_table(
    data: RotationSet, out: Path, *, longest: int | None = None, progress: Callable[[int, int, str], None] | None = None
) -> None:
    """Writes any set as such a folder; equivalents are not kept.

    Args:
        data: the set.
        out: folder to make; images that are there already are not made again.
        longest: images larger than this are made smaller, aspect kept, with camera and box.
        progress: called with (done, total, name).
    """
    if (out / ROTATIONS_FILE).exists():
        raise ResectError(out, "a folder without " + ROTATIONS_FILE, "one with it", "Choose another --out.")
    text = io.StringIO()
    text.write(_HEAD + "\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    quaternion = so3.to_quaternion(data.rotation.double().cpu())
    for i in range(len(data)):
        photo = _straight(_smaller(data.photo(i), longest))
        name = f"{i // 1000:04d}/{i:07d}.png"
        pixels = (photo.image.cpu() * 255).round().byte()
        write_atomic(out / name, png_bytes(pixels))
        box = photo.target.box if photo.target is not None and photo.target.box is not None else ("",) * 4
        camera = photo.camera
        lens: Sequence[object] = ("",) * 4 if camera is None else (camera.fx, camera.fy, camera.cx, camera.cy)
        moved = ("",) * 3 if data.translation is None else data.translation[i].tolist()
        table.writerow([name, data.categories[i], *quaternion[i].tolist(), *moved, *lens, *box])
        if progress is not None:
            progress(i + 1, len(data), name)
    write_atomic(out / ROTATIONS_FILE, text.getvalue().encode())


def _smaller(photo: Photo, longest: int | None) -> Photo:
    height, width = photo.image.shape[:2]
    if longest is None or max(height, width) <= longest:
        return photo
    scale = longest / max(height, width)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    target = photo.target
    if target is not None and target.box is not None:
        left, top, right, bottom = target.box
        box = (left * w / width, top * h / height, right * w / width, bottom * h / height)
        target = Target(target.object_id, target.instance, target.category, box)
    camera = None if photo.camera is None else photo.camera.rescale(w, h)
    return Photo(photo.name, resize_area(photo.image, w, h), camera, photo.camera_source, target)


def _straight(photo: Photo) -> Photo:
    """As a pinhole of the same focal length shows it; what the lens did not see goes on as the photo's edge."""
    lens = photo.camera
    if lens is None or lens.model == "pinhole":
        return photo
    camera = Camera(lens.fx, lens.fy, lens.cx, lens.cy, lens.width, lens.height)
    image = seen_through(photo.image, lens, camera, torch.eye(3, dtype=torch.float64)).permute(1, 2, 0)
    target = photo.target
    if target is not None and target.box is not None:
        left, top, right, bottom = target.box
        corners = torch.tensor([[left, top], [right, top], [left, bottom], [right, bottom]], dtype=torch.float64)
        there, _ = camera.project(lens.rays(corners))
        box = (*there.amin(0).tolist(), *there.amax(0).tolist())
        target = Target(target.object_id, target.instance, target.category, box)
    return Photo(photo.name, image.contiguous(), camera, photo.camera_source, target)


def _lines(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise ResectError(path, f"a folder with {ROTATIONS_FILE}", "none", "Write one with 'resect data rotations'.")
    if path.stat().st_size > _MOST_BYTES:
        fix = "Split it into folders."
        raise ResectError(path, f"at most {_MOST_BYTES >> 20} MiB", f"{path.stat().st_size >> 20} MiB", fix)
    try:
        text = path.read_text(encoding="utf-8-sig").splitlines()
        if not text or text[0] != _HEAD:
            fix = "Write that line above the columns' names: it says what the numbers mean."
            raise ResectError(path, f"a first line '{_HEAD}'", repr(text[0][:80]) if text else "an empty file", fix)
        table = csv.DictReader(text[1:])
        lines = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ResectError(path, "a CSV table in UTF-8", str(error), "Save it as comma-separated UTF-8.") from None
    missing = {"photo", "category", *_GROUPS["quaternion"]} - set(table.fieldnames or ())
    if missing:
        fix = "Name the columns in the second line."
        raise ResectError(path, "columns photo, category, qw, qx, qy, qz", f"none of {', '.join(sorted(missing))}", fix)
    if not lines:
        raise ResectError(path, "a line for each image", "none", "Was the set empty that it was made of?")
    return [{name: (line.get(name) or "").strip() for name in _COLUMNS} for line in lines]


def _row(where: str, line: dict[str, str]) -> dict[str, list[float] | None]:
    if not line["photo"]:
        raise ResectError(where, "a photo", "none", "Name an image in the first cell, or remove the line.")
    found: dict[str, list[float] | None] = {}
    for group, names in _GROUPS.items():
        cells = [line[name] for name in names]
        if not any(cells):
            found[group] = None
            continue
        try:
            found[group] = [float(cell) for cell in cells]
        except ValueError:
            raise ResectError(where, f"numbers for {', '.join(names)}", repr(cells), _FIX) from None
        if not all(math.isfinite(x) for x in found[group] or ()):
            raise ResectError(where, f"finite numbers for {', '.join(names)}", repr(cells), _FIX)
    turn = found["quaternion"]
    if turn is None or not 0.99 < math.hypot(*turn) < 1.01:
        raise ResectError(where, "a unit quaternion qw, qx, qy, qz", repr(turn), "Check the label.")
    return found
