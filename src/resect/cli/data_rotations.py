"""`resect data rotations`: images with rotations as a folder of resect's own, drawn from meshes or converted."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags, at_least
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.data.rotation_set import RotationSet
    from resect.synthesis.model_rotation_settings import ModelRotationSettings


@dataclass(frozen=True)
class RotationsArguments:
    """Images with rotations, drawn from meshes or converted from a dataset, for 'resect fit image2sphere'."""

    given: tyro.conf.Positional[tuple[str, ...]]
    """Folders of meshes, a category each and named like it (or CATEGORY/train, CATEGORY/test in it, as in ModelNet);
    or chair, table, car: procedural shapes; or one dataset to convert: SYMSOL, ModelNet10-SO(3), PASCAL3D+, SPEED+, an
    .npz file."""
    out: Path
    """Folder to make: images and rotations.csv."""
    split: str = "train"
    """Which part: of a dataset, such as test or lightbox/test; of meshes; or which stream of procedural shapes."""
    longest: int | None = None
    """Make larger images of a dataset smaller, aspect kept: pixels of the longer side."""
    shapes: int = 200
    """Procedural shapes of each category."""
    common: CommonFlags = COMMON


def rotations(flags: RotationsArguments, settings: "ModelRotationSettings") -> int:
    """Draws or converts, and writes."""
    from resect.cli.progress import bar
    from resect.data.rotations.table import write_rotation_table

    at_least("--shapes", flags.shapes, 1)
    at_least("--longest", flags.longest or 1, 1)
    data = _data(flags, settings)
    for note in data.notes:
        say(f"note: {note}")
    with bar("images") as progress:
        write_rotation_table(data, flags.out, longest=flags.longest, progress=progress)
    say(f"now: resect fit image2sphere {flags.out} --out runs/image2sphere")
    facts = {"out": str(flags.out), "images": len(data), "categories": list(data.known), "format": data.format}
    result(flags.common, facts, str(flags.out))
    return DONE


def _data(flags: RotationsArguments, settings: "ModelRotationSettings") -> "RotationSet":
    """What is drawn where meshes are given, else what is read."""
    from resect.data.procedural_shapes.families import FAMILIES
    from resect.data.rotations.read import read_rotations
    from resect.synthesis.model_rotations import make_model_rotations

    drawn = [given in FAMILIES and not Path(given).exists() for given in flags.given]
    meshes = [
        not shape and _has_meshes(Path(given), flags.split) for given, shape in zip(flags.given, drawn, strict=True)
    ]
    if not any(drawn) and not any(meshes) and len(flags.given) == 1:
        return read_rotations(flags.given[0], flags.split)
    found: list[tuple[str, Any]] = []
    for given, shape, has in zip(flags.given, drawn, meshes, strict=True):
        if not shape and not has:
            fix = "A dataset to convert stands alone; check the path."
            raise ResectError(given, f"a folder of meshes, or one of {', '.join(FAMILIES)}", "neither", fix)
        found += _procedural(given, flags) if shape else _meshes(Path(given), flags.split)
    return make_model_rotations([name for name, _ in found], lambda i: found[i][1](), settings)


def _has_meshes(folder: Path, split: str) -> bool:
    from resect.data.mesh.read import SUFFIXES

    below = folder / split if (folder / split).is_dir() else folder
    return below.is_dir() and any(p.suffix.lower() in SUFFIXES for p in below.iterdir())


def _meshes(folder: Path, split: str) -> "list[tuple[str, Any]]":
    from resect.data.prepare_shapes import find_meshes

    below = folder / split if (folder / split).is_dir() else folder
    category = folder.resolve().name.replace(" ", "_") or "object"
    return [(f"{category}/{path.stem.replace(' ', '_')}", partial(_read, path)) for path in find_meshes(below)]


def _procedural(family: str, flags: RotationsArguments) -> "list[tuple[str, Any]]":
    return [(f"{family}/{flags.split}_{i:06d}", partial(_draw, family, flags, i)) for i in range(flags.shapes)]


def _read(path: Path) -> Any:
    from resect.data.mesh import read_mesh

    return _scene(read_mesh(path))


def _draw(family: str, flags: RotationsArguments, index: int) -> Any:
    from resect.data.procedural_shapes.families import draw

    return _scene(draw(family, flags.split, index, flags.common.seed).mesh())


def _scene(mesh: Any) -> Any:
    import torch

    from resect.scenes.mesh.scene import MeshScene

    return MeshScene(mesh.to(torch.float32), antialias=False)
