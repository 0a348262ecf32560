"""SPEED+: pictures of one satellite, with rotation and position.

    <root>/camera.json
    <root>/<domain>/{images/img000001.jpg, train.json, validation.json, test.json}

with `[{"filename", "q_vbs2tango_true", "r_Vo2To_vbs_true"}]`, w first, metres. The file's quaternion is of the turn
that takes the camera's frame to the satellite's; as an active rotation it is `cam_from_obj`, as the direction-cosine
matrix that others make of it its transpose. The principal point is nominal, the middle of the image.

Reference: Park, Märtens, Lecuyer, Izzo, D'Amico, "SPEED+: next-generation dataset", IEEE Aerospace 2022.
"""

from pathlib import Path
from typing import Any

from resect.artifact import read_json
from resect.data.image import read_image
from resect.data.rigid import number, rigid_from_quaternion
from resect.data.rotation_set import RotationSet
from resect.errors import ResectError, unknown_name
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Photo, Target

DOMAINS = ("synthetic", "lightbox", "sunlamp")
CATEGORY = "tango"
_KEYS = (("q_vbs2tango_true", "q_vbs2tango"), ("r_Vo2To_vbs_true", "r_Vo2To_vbs"))
_MOST_BYTES = 256 << 20


def fits_spacecraft(folder: Path) -> bool:
    """Whether a folder is that of the dataset or of one of its domains."""
    return ((folder / "camera.json").is_file() and any((folder / d).is_dir() for d in DOMAINS)) or (
        folder.name in DOMAINS and (folder.parent / "camera.json").is_file()
    )


def read_spacecraft(root: Path, domain: str = "synthetic", split: str = "train") -> RotationSet:
    """Reads a list of one domain.

    Args:
        root: of the dataset, or of the domain.
        domain: "synthetic", "lightbox" or "sunlamp".
        split: name of the list: "train", "validation" or "test".

    Raises:
        ResectError: a missing list, a label that is not a rotation, or a file outside the folder, naming the entry.
    """
    if root.name in DOMAINS and not (root / domain).is_dir():
        root, domain = root.parent, root.name
    if domain not in DOMAINS:
        raise unknown_name("domain", domain, DOMAINS)
    folder = root / domain
    path = folder / f"{split}.json"
    there = sorted(p.stem for p in folder.glob("*.json"))
    if split not in there:
        raise unknown_name(f"{folder}: split", split, there)
    entries = read_json(path, limit=_MOST_BYTES)
    if not isinstance(entries, list) or not entries:
        fix = "Give the release's own list, or write a rotations.csv."
        raise ResectError(path, "a list of labelled images", type(entries).__name__, fix)
    camera = _camera(root / "camera.json")
    rows = [_entry(f"{path}: entry {i}", entry) for i, entry in enumerate(entries)]
    names = tuple(name for name, _ in rows)

    def load(i: int) -> Photo:
        image, _ = read_image(folder / "images" / names[i])
        height, width = image.shape[:2]
        target = Target(CATEGORY, category=CATEGORY)
        return Photo(names[i], image, camera.rescale(width, height), "camera.json", target)

    pose = SE3.stack([found for _, found in rows])
    return RotationSet("spacecraft", names, (CATEGORY,) * len(names), pose.R, load, translation=pose.t)


def _entry(where: str, entry: Any) -> tuple[str, SE3]:
    if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
        fix = "Correct the entry as the others are, or take it out."
        raise ResectError(where, "an object with a filename", repr(entry)[:80], fix)
    name = entry["filename"]
    if Path(name).name != name:
        fix = "Put the image there and name it without folders."
        raise ResectError(f"{where}: filename", "the name of a file in images/", repr(name)[:80], fix)
    q, t = (next((entry[key] for key in keys if key in entry), None) for keys in _KEYS)
    if not isinstance(q, list) or len(q) != 4 or not isinstance(t, list) or len(t) != 3:
        fix = "Correct the entry, or take it out; unlabelled images cannot be learned from."
        raise ResectError(where, "q_vbs2tango_true (4) and r_Vo2To_vbs_true (3)", repr(entry)[:80], fix)
    return name, rigid_from_quaternion(where, [number(where, x) for x in q], [number(where, x) for x in t])


def _camera(path: Path) -> Camera:
    found = read_json(path)
    matrix = found.get("cameraMatrix") if isinstance(found, dict) else None
    if not isinstance(matrix, list) or len(matrix) != 3 or not all(isinstance(r, list) and len(r) == 3 for r in matrix):
        fix = "Copy camera.json of the release."
        raise ResectError(path, "a cameraMatrix of 3 x 3 numbers, Nu and Nv", repr(found)[:80], fix)
    fx, fy, cx, cy = (number(f"{path}: cameraMatrix", matrix[i][j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    width, height = (int(number(f"{path}: {key}", found.get(key), positive=True)) for key in ("Nu", "Nv"))
    lens = found.get("distCoeffs", [])
    values = tuple(number(f"{path}: distCoeffs", x) for x in (lens if isinstance(lens, list) else []))
    return Camera(fx, fy, cx, cy, width, height, "opencv" if any(values) else "pinhole", values if any(values) else ())
