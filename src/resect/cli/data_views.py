"""`resect data views`: crops of rendered models with viewpoints, for `resect fit viewpoint`."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags, at_least
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resect.synthesis.view_settings import ViewSettings

Axis = Literal["+x", "-x", "+y", "-y", "+z", "-z"]
_MOST_PICTURES = 200  # kept in memory


@dataclass(frozen=True)
class ViewsArguments:
    """Crops of rendered models in random light on random backgrounds, with viewpoints."""

    models: tyro.conf.Positional[tuple[str, ...]]
    """Folders of meshes, a category each and named like it; or chair, table, car: procedural shapes."""
    out: Path
    """Folder to make: images and views.txt; the same command goes on where it stopped."""
    up: Axis = "+y"
    """Axis of the meshes that points upwards."""
    front: Axis = "+x"
    """Axis of the meshes that the objects face."""
    shapes: int = 200
    """Procedural shapes of each category."""
    split: Literal["train", "val", "test"] = "train"
    """Which stream of procedural shapes."""
    like: Path | None = None
    """List of views whose distribution the viewpoints are drawn from (a kernel about each)."""
    backgrounds: Path | None = None
    """Folder of pictures to lay the objects on; without one, random textures."""
    workers: int = 1
    """Processes that draw; 0 takes all cores."""
    common: CommonFlags = COMMON


def views(flags: ViewsArguments, settings: "ViewSettings") -> int:
    """Draws crops."""
    from resect.cli.progress import bar
    from resect.data.view_list import read_views
    from resect.synthesis.views import make_views

    at_least("--shapes", flags.shapes, 1)
    names, loads = [], []
    for given in flags.models:
        for name, load in _models(given, flags):
            names.append(name)
            loads.append(load)
    like = None if flags.like is None else read_views(flags.like).viewpoint
    pictures = [] if flags.backgrounds is None else read_pictures(flags.backgrounds)
    with bar("crops") as progress:
        make_views(
            names, partial(_loaded, loads), settings, flags.out,
            like=like, backgrounds=pictures, workers=flags.workers, progress=progress,
        )  # fmt: skip
    say(f"now: resect fit viewpoint {flags.out} --out runs/viewpoint")
    facts = {"out": str(flags.out), "models": len(names), "images": settings.images}
    result(flags.common, facts, str(flags.out))
    return DONE


def _models(given: str, flags: ViewsArguments) -> "list[tuple[str, Callable[[], Any]]]":
    """Names of one category's models, and what makes a scene of each."""
    from resect.data.prepare_shapes import find_meshes
    from resect.data.procedural_shapes.families import FAMILIES

    if given in FAMILIES and not Path(given).exists():
        return [(f"{given}/{flags.split}_{i:06d}", partial(_solid, given, flags, i)) for i in range(flags.shapes)]
    if not Path(given).exists():
        raise ResectError(given, f"a folder of meshes, or one of {', '.join(FAMILIES)}", "neither")
    if flags.up[1] == flags.front[1]:
        raise ResectError("--front", "another axis than --up", f"{flags.up}, {flags.front}")
    root = Path(given)
    category = (root if root.is_dir() else root.parent).resolve().name or "object"
    return [(_name(category, path, root), partial(_read, flags, path)) for path in find_meshes(given)]


def _loaded(loads: "Sequence[Callable[[], Any]]", which: int) -> Any:
    return loads[which]()


def _solid(category: str, flags: ViewsArguments, index: int) -> Any:
    from resect.data.procedural_shapes.families import draw

    return _scene(draw(category, flags.split, index, flags.common.seed).mesh())


def _read(flags: ViewsArguments, path: Path) -> Any:
    from resect.data.mesh import read_mesh
    from resect.data.prepare_shapes import canonical

    return _scene(canonical(read_mesh(path), flags.up, flags.front))


def _scene(mesh: Any) -> Any:
    import torch

    from resect.scenes.mesh.scene import MeshScene

    return MeshScene(mesh.to(torch.float32), antialias=False)


def _name(category: str, path: Path, root: Path) -> str:
    """The category and the path below its folder, without spaces and further slashes."""
    below = path.relative_to(root) if root.is_dir() else Path(path.name)
    words = "_".join(below.with_suffix("").parts)
    return f"{category}/{words}".replace(" ", "_")


def read_pictures(folder: Path) -> list[Any]:
    """The first pictures of a folder."""
    from resect.data.image import SUFFIXES, read_image

    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise ResectError(folder, f"pictures ({', '.join(SUFFIXES)})", "none")
    return [read_image(path)[0] for path in files[:_MOST_PICTURES]]
