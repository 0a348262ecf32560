"""Detections in files: BOP and COCO results (`.json`, `.json.gz`), COCO annotations, folders of masks.

COCO's `bbox` is x, y, width, height from the image's corner; a list of results has `scene_id` (BOP), `image_id`,
`category_id`, `score`; annotations name their images, `image_id` being the number of one.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from resect.data.mask import mask_from_coco
from resect.data.rigid import number
from resect.data.target import target_from_box, target_from_mask
from resect.errors import ResectError
from resect.types import Photo, Target

_MOST_BYTES = 1 << 30
_MOST = 5_000_000


@dataclass(frozen=True, eq=False)
class Detection:
    """One detection, its mask not yet decoded.

    Attributes:
        where: in its file, for errors.
        object_id: category or model.
        score: confidence.
        box: left, top, right, bottom in pixels, if given.
        segmentation: COCO's, or the file of a mask, if given.
    """

    where: str
    object_id: str
    score: float = 1.0
    box: tuple[float, float, float, float] | None = None
    segmentation: Any = None

    def target(self, photo: Photo) -> Target:
        """Checked against the photo: the mask must have its size, the box must lie in it."""
        height, width = photo.image.shape[:2]
        if isinstance(self.segmentation, Path):
            found = target_from_mask(photo, self.segmentation, self.object_id)
        elif self.segmentation:
            mask = mask_from_coco(self.segmentation, (width, height), self.where)
            found = target_from_mask(photo, mask, self.object_id, self.where)
        elif self.box is not None:
            found = target_from_box(photo, self.box, self.object_id, self.where)
        else:
            raise ResectError(self.where, "a bbox or a segmentation", "neither")
        return replace(found, score=self.score)


@dataclass(frozen=True, eq=False)
class Detections:
    """All detections of a file or folder.

    Attributes:
        by_name: file name of the photo, as the file writes it → its detections.
        by_number: (scene or none, image) → its detections.
        path: where they are from.
    """

    by_name: Mapping[str, tuple[Detection, ...]]
    by_number: Mapping[tuple[int | None, int], tuple[Detection, ...]]
    path: Path

    def of(self, photo_name: str) -> tuple[Detection, ...]:
        """Those of a photo, best first: by its path or the end of it, else by its number and its scene's.

        The photo `test/000002/rgb/000003.png` is image 3 of scene 2.
        """
        parts = PurePosixPath(photo_name).parts
        names = ["/".join(parts[i:]) for i in range(len(parts))]
        found = next((self.by_name[n] for n in (*names, PurePosixPath(photo_name).stem) if n in self.by_name), None)
        if found is None:
            numbers = [int(s) if (s := PurePosixPath(p).stem).isascii() and s.isdigit() else None for p in parts]
            scene = next((n for n in reversed(numbers[:-1]) if n is not None), None)
            image = numbers[-1] if numbers else None
            keys = [] if image is None else [(scene, image), (None, image)]
            found = next((self.by_number[k] for k in keys if k in self.by_number), ())
        return tuple(sorted(found, key=lambda d: -d.score))


def read_detections(path: Path | str, object_id: str = "object") -> Detections:
    """Reads results, annotations or a folder of masks.

    Args:
        path: JSON file, gzipped or not, or a folder with `STEM.png` or BOP's `IMAGE_INDEX.png`.
        object_id: of the masks of a folder, whose names do not say it.

    Raises:
        ResectError: none of these, too large, or an entry that is not a detection.
    """
    path = Path(path)
    if path.is_dir():
        return _mask_folder(path, object_id)
    value = _json(path)
    if isinstance(value, dict):
        return _annotations(path, value)
    if not isinstance(value, list) or len(value) > _MOST:
        raise ResectError(path, f"a list of at most {_MOST} results, or COCO annotations", type(value).__name__)
    rows = []
    for i, entry in enumerate(value):
        where = f"{path}: result {i}"
        found = _detection(where, entry)
        scene = _whole(where, entry, "scene_id") if "scene_id" in entry else None
        rows.append(((scene, _whole(where, entry, "image_id")), found))
    return Detections({}, _grouped(rows), path)


def _json(path: Path) -> Any:
    if not path.is_file():
        raise ResectError(path, "a JSON file of detections, or a folder of masks", "no file")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ResectError(path, f"at most {_MOST_BYTES >> 30} GiB of JSON", "more")
        return json.loads(data)
    except ResectError:
        raise
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise ResectError(path, "valid JSON", str(error)[:80] or type(error).__name__) from None


def _annotations(path: Path, value: dict[str, Any]) -> Detections:
    images, annotations = value.get("images"), value.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list) or len(annotations) > _MOST:
        raise ResectError(path, "COCO annotations with images and annotations", f"keys {', '.join(list(value)[:6])}")
    names: dict[int, str] = {}
    for i, image in enumerate(images):
        key = _whole(f"{path}: image {i}", image, "id")
        names[key] = str(image.get("file_name", ""))
    named, numbered = [], []
    for i, entry in enumerate(annotations):
        where = f"{path}: annotation {i}"
        found, image = _detection(where, entry), _whole(where, entry, "image_id")
        if image not in names:
            raise ResectError(where, "an image_id of the file's images", str(image))
        named.append((PurePosixPath(names[image].replace("\\", "/")).as_posix(), found))
        numbered.append(((None, image), found))
    return Detections(_grouped(named), _grouped(numbered), path)


def _detection(where: str, entry: Any) -> Detection:
    if not isinstance(entry, dict) or "category_id" not in entry:
        raise ResectError(where, "an object with category_id, image_id and bbox or segmentation", repr(entry)[:80])
    box = entry.get("bbox")
    if box is not None:
        if not isinstance(box, list) or len(box) != 4:
            raise ResectError(f"{where}: bbox", "x, y, width, height", repr(box)[:80])
        x, y, w, h = (number(f"{where}: bbox", v) for v in box)
        box = (x, y, x + w, y + h)
    score = number(f"{where}: score", entry["score"]) if "score" in entry else 1.0
    return Detection(where, str(entry["category_id"]), score, box, entry.get("segmentation"))


def _mask_folder(path: Path, object_id: str) -> Detections:
    rows: list[tuple[str, Detection]] = []
    numbered: list[tuple[tuple[int | None, int], Detection]] = []
    for name in sorted(os.listdir(path)):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() != ".png":
            continue
        found = Detection(str(path / name), object_id, segmentation=path / name)
        image, _, index = stem.partition("_")
        if image.isascii() and image.isdigit() and index.isascii() and index.isdigit():
            numbered.append(((None, int(image)), found))
        else:
            rows.append((stem, found))
    if not rows and not numbered:
        raise ResectError(path, "masks STEM.png, named after the photos", "none")
    return Detections(_grouped(rows), _grouped(numbered), path)


def _grouped(rows: Iterable[tuple[Any, Detection]]) -> dict[Any, tuple[Detection, ...]]:
    found: dict[Any, list[Detection]] = {}
    for key, detection in rows:
        found.setdefault(key, []).append(detection)
    return {key: tuple(value) for key, value in found.items()}


def _whole(where: str, entry: Any, name: str) -> int:
    value = entry.get(name) if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ResectError(f"{where}: {name}", "a whole number", repr(value)[:40])
    return value
