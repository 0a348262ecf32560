"""A BOP dataset's folder: where its scenes, models and test targets lie, whichever of them one points at.

`ROOT/{camera.json, test_targets_bop19.json, models[_eval]/…, SPLIT/000001/…}`; a split or a scene alone is read too,
and then what belongs to the dataset is looked for one and two folders above. LINEMOD as it was before BOP is read
alike: `ROOT/{models/{models_info.yml, obj_01.ply}, data/01/{gt.yml, info.yml, rgb, depth, mask}}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resect.artifact import read_json
from resect.data.bop.scene import METERS_PER_UNIT, BopImage, BopObject, is_scene, read_scene
from resect.data.mesh import read_mesh
from resect.data.models_info import ModelInfo, read_models_info
from resect.errors import ResectError, unknown_name
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3

_MODELS = ("models", "models_cad", "models_reconst", "models_eval")
_EVAL_MODELS = ("models_eval", *_MODELS[:3])
_TARGETS = ("test_targets_bop19.json", "test_targets_bop24.json")
_MOST_TARGETS = 5_000_000


@dataclass(frozen=True, eq=False)
class BopFolder:
    """Images, true objects and models of one split; millimetres.

    Attributes:
        root: folder of the dataset.
        split: name of the split's folder; "" where the scenes lie in the root.
        images: (scene, image) → image.
        objects: true objects, ordered by scene, image and place in the image's list.
        cam_from_obj: their poses, float64, rotations rounded as in the file.
        models: object number → diameter, box and symmetries.
        targets: (scene, image, object) → how many instances the dataset asks for; `None` where it does not say.
        notes: what is missing.
    """

    root: Path
    split: str
    images: Mapping[tuple[int, int], BopImage]
    objects: tuple[BopObject, ...]
    cam_from_obj: SE3
    models: Mapping[int, ModelInfo]
    targets: Mapping[tuple[int, int, int], int] | None
    notes: tuple[str, ...] = ()

    def mesh_file(self, object_id: int, *, evaluation: bool = False) -> Path | None:
        """The model's file: the detailed one, or the uniformly sampled one that errors are measured with."""
        folders = [self.root / name for name in (_EVAL_MODELS if evaluation else _MODELS)]
        names = [f"obj_{object_id:0{digits}d}.ply" for digits in (6, 2)]
        return next((p for folder in folders for name in names if (p := folder / name).is_file()), None)

    def mesh(self, object_id: int, *, evaluation: bool = False) -> Mesh:
        """The model, in millimetres."""
        path = self.mesh_file(object_id, evaluation=evaluation)
        if path is None:
            got, fix = "none in models or models_eval", "Copy the models of the dataset there."
            raise ResectError(self.root, f"a mesh obj_{object_id:06d}.ply", got, fix)
        return read_mesh(path, meters_per_unit=METERS_PER_UNIT)


def fits_bop(path: Path) -> bool:
    """Whether a folder is a scene, a split or a dataset of BOP."""
    return is_scene(path) or bool(_scenes(path)) or bool(_splits(path))


def bop_splits(path: Path) -> tuple[str, ...]:
    """Names of a dataset's splits; none of a split or a scene."""
    return () if is_scene(path) or _scenes(path) else tuple(p.name for p in _splits(path))


def read_bop(path: Path | str, split: str | None = None) -> BopFolder:
    """Reads a dataset, a split or a scene; what is optional and missing is said in `notes`.

    Args:
        path: the folder.
        split: which split of a dataset; by default "test", else the first that begins so, else the only one.

    Raises:
        ResectError: no scene, or a file that holds something else, naming the file, the image and the object.
    """
    path = Path(path)
    folder, scenes = _find(path, split)
    root = next((p for p in (folder, folder.parent) if _is_root(p)), folder)
    infos = _models_info(root)
    size = _size(root / "camera.json")
    read = [read_scene(scene, size) for scene in scenes]
    images = {(i.scene, i.image): i for scene in read for i in scene.images}
    objects = tuple(o for scene in read for o in scene.objects)
    notes = [note for scene in read for note in scene.notes]
    if infos is None:
        notes.append("No models_info.json: diameters and symmetries are unknown.")
    models = {} if infos is None else _by_number(infos)
    targets = _targets(root, images)
    name = folder.name if folder != root else ""
    return BopFolder(
        root, name, images, objects, SE3.cat([s.cam_from_obj for s in read]), models, targets, tuple(notes)
    )


def _models_info(root: Path) -> Path | None:
    files = (root / name / f"models_info.{suffix}" for name in _EVAL_MODELS for suffix in ("json", "yml"))
    return next((file for file in files if file.is_file()), None)


def _is_root(path: Path) -> bool:
    names = ("camera.json", *_MODELS, *_TARGETS)
    return any((path / name).exists() for name in names)


def _scenes(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and is_scene(p)) if path.is_dir() else []


def _splits(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and _scenes(p)) if path.is_dir() else []


def _find(path: Path, split: str | None) -> tuple[Path, list[Path]]:
    """The folder of the split, and its scenes."""
    if is_scene(path):
        return path.parent, [path]
    if scenes := _scenes(path):
        return path, scenes
    splits = {p.name: p for p in _splits(path)}
    if not splits:
        expected = "a BOP dataset: SPLIT/000001/scene_camera.json and scene_gt.json"
        raise ResectError(path, expected, "no scene" if path.is_dir() else "no such folder")
    if split is not None and split not in splits:
        raise unknown_name(f"{path}: split", split, splits)
    tests = [name for name in splits if name.startswith("test")]
    name = split or next(iter(tests), "")
    if not name and len(splits) > 1:
        fix = "Point at the split's own folder."
        raise ResectError(path, "one split, or one named test", ", ".join(splits), fix)
    chosen = splits[name] if name else next(iter(splits.values()))
    return chosen, _scenes(chosen)


def _size(path: Path) -> tuple[int, int] | None:
    found = read_json(path) if path.is_file() else {}
    if not isinstance(found, dict) or not all(isinstance(found.get(k), int) for k in ("width", "height")):
        return None
    return found["width"], found["height"]


def _by_number(path: Path) -> dict[int, ModelInfo]:
    found = read_models_info(path)
    wrong = next((k for k in found if not (k.isascii() and k.isdigit())), None)
    if wrong is not None:
        raise ResectError(path, "models with numbers as keys", repr(wrong))
    return {int(key): info for key, info in found.items()}


def _targets(root: Path, images: Mapping[tuple[int, int], BopImage]) -> dict[tuple[int, int, int], int] | None:
    """Only those of images that are here; the 2024 files, which list images without objects, ask for all."""
    path = next((p for name in _TARGETS if (p := root / name).is_file()), None)
    if path is None:
        return None
    listed = read_json(path)
    if not isinstance(listed, list) or len(listed) > _MOST_TARGETS:
        raise ResectError(path, f"a list of at most {_MOST_TARGETS} targets", type(listed).__name__)
    found: dict[tuple[int, int, int], int] = {}
    for i, entry in enumerate(listed):
        key = tuple(_integer(f"{path}: target {i}: {name}", entry, name) for name in ("scene_id", "im_id"))
        if key in images and "obj_id" in entry:
            number = _integer(f"{path}: target {i}: obj_id", entry, "obj_id")
            count = _integer(f"{path}: target {i}: inst_count", entry, "inst_count") if "inst_count" in entry else 1
            found[key[0], key[1], number] = count
    return found or None


def _integer(where: str, entry: Any, name: str) -> int:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise ResectError(where, "a whole number", repr(value)[:40])
    return value
