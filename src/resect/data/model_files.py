"""Which mesh is which object: the ids that files of detections and results know meshes by."""

import re
from collections.abc import Iterable
from pathlib import Path

from resect.data.bop.scene import METERS_PER_UNIT
from resect.data.mesh.read import SUFFIXES
from resect.data.models_info import read_models_info
from resect.errors import ResectError
from resect.geometry.symmetry import Symmetries

_NUMBERED = re.compile(r"obj_0*([0-9]{1,9})")


def is_models(path: Path) -> bool:
    """Whether a path is a mesh file, or a folder with meshes and no artefact."""
    if path.is_dir():
        return not (path / "artifact.json").is_file() and bool(_inside(path))
    return path.suffix.lower() in SUFFIXES


def model_files(named: Iterable[str]) -> dict[str, Path]:
    """Object id → mesh file.

    Args:
        named: files, folders of meshes, or ID=FILE. Without ID, `obj_000009.ply` is object 9, as BOP names its models,
            and any other file is the object of its name without the ending.

    Raises:
        ResectError: nothing there, no mesh in a folder, or two meshes of one id.
    """
    found: dict[str, Path] = {}
    for text in named:
        name, equals, rest = text.partition("=")
        path = Path(rest) if equals and not Path(text).exists() else Path(text)
        if not path.exists():
            raise ResectError(path, "a mesh file or a folder of meshes", "nothing there")
        files = _inside(path) if path.is_dir() else [path]
        if not files:
            raise ResectError(path, f"meshes ({', '.join(SUFFIXES)})", "none in this folder")
        for file in files:
            object_id = name if path != Path(text) and not path.is_dir() else object_id_of(file)
            if object_id in found:
                fix = "Tell them apart: --scene ID=FILE."
                raise ResectError(file, f"one mesh for object '{object_id}'", f"also {found[object_id]}", fix)
            found[object_id] = file
    return found


def object_id_of(file: Path) -> str:
    """`9` of `obj_000009.ply`, `mug` of `mug.obj`."""
    numbered = _NUMBERED.fullmatch(file.stem)
    return str(int(numbered[1])) if numbered else file.stem


def meters_of_models(file: Path) -> float | None:
    """Millimetres where a mesh lies beside `models_info.json`, which BOP defines so; else unknown."""
    return METERS_PER_UNIT if (file.parent / "models_info.json").is_file() else None


def symmetries_of_models(file: Path) -> Symmetries:
    """What the `models_info.json` beside a mesh lists for it; none where there is no such file or entry."""
    path = file.parent / "models_info.json"
    entry = read_models_info(path).get(object_id_of(file)) if path.is_file() else None
    return Symmetries() if entry is None else entry.symmetries


def _inside(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
