"""`resect data clutter`: drawn photos of several known objects with masks and poses, for `resect fit posecnn`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from resect.cli.data_views import read_pictures
from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags
from resect.cli.output import result, say

if TYPE_CHECKING:
    from resect.synthesis.clutter_set_settings import ClutterSetSettings


@dataclass(frozen=True)
class ClutterArguments:
    """Photos of several objects in clutter: a BOP dataset with masks, poses and COCO annotations."""

    models: tyro.conf.Positional[tuple[str, ...]]
    """Meshes, ID=MESH, or folders of meshes."""
    out: Path
    """Folder to make; the same command goes on where it stopped."""
    backgrounds: Path | None = None
    """Folder of pictures to lay the objects on; without one, random textures."""
    distractors: tuple[Path, ...] = ()
    """Folders or files of meshes that lie about and are not asked for, scaled to the size of the objects."""
    units: str | None = None
    """Length of one unit of the meshes: mm, cm, m, in, or metres per unit; mm beside a models_info.json."""
    split: str = "train"
    """Name of the split's folder."""
    workers: int = 1
    """Processes that draw; 0 takes all cores."""
    common: CommonFlags = COMMON


def clutter(flags: ClutterArguments, settings: "ClutterSetSettings") -> int:
    """Draws photos."""
    from resect.cli.progress import bar
    from resect.data.mesh import read_mesh
    from resect.data.mesh.units import parse_units
    from resect.data.model_files import meters_of_models, model_files, symmetries_of_models
    from resect.synthesis.clutter_set import make_clutter

    files = model_files(flags.models)
    unit = None if flags.units is None else parse_units(flags.units)
    meshes = {k: read_mesh(p, meters_per_unit=meters_of_models(p) if unit is None else unit) for k, p in files.items()}
    same = {k: symmetries_of_models(p) for k, p in files.items()}
    pictures = [] if flags.backgrounds is None else read_pictures(flags.backgrounds)
    others = [read_mesh(p) for p in model_files(map(str, flags.distractors)).values()] if flags.distractors else []
    with bar("photos") as progress:
        make_clutter(
            meshes,
            settings,
            flags.out,
            symmetries=same,
            backgrounds=pictures,
            distractors=others,
            split=flags.split,
            workers=flags.workers,
            progress=progress,
        )
    say(f"now: resect fit posecnn {flags.out} --out runs/posecnn")
    facts = {"out": str(flags.out), "objects": list(meshes), "images": settings.images}
    result(flags.common, facts, str(flags.out))
    return DONE
