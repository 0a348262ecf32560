"""`resect data shapes|prepare`: shapes of a category to learn from, procedural or from meshes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.main import DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags
from resect.cli.output import result, say

if TYPE_CHECKING:
    from resect.data.prepare_settings import PrepareSettings
    from resect.data.procedural_shapes.settings import ProceduralSettings
    from resect.data.procedural_shapes.views import View
    from resect.geometry.mesh import Mesh


@dataclass(frozen=True)
class ShapesArguments:
    """Procedural shapes of a category: points, surfaces, views with poses."""

    category: tyro.conf.Positional[str]
    """Category: chair, table or car."""
    out: Path
    """Folder of categories; the same command goes on where it stopped."""
    workers: int = 1
    """Processes; 0 takes all cores."""
    common: CommonFlags = COMMON


@dataclass(frozen=True)
class PrepareArguments:
    """Meshes of a category, watertight or not, made into points, surfaces, views with poses."""

    meshes: tyro.conf.Positional[Path]
    """Folder of mesh files: PLY, OBJ, OFF, STL, GLB, glTF."""
    out: Path
    """Folder of categories; the same command goes on where it stopped."""
    category: str = "object"
    """Name of the category."""
    common: CommonFlags = COMMON


def shapes(flags: ShapesArguments, settings: "ProceduralSettings") -> int:
    """Makes procedural shapes."""
    from resect.cli.progress import bar
    from resect.data.procedural_shapes.make import make_shapes

    with bar(f"{flags.category}s") as progress:
        make_shapes(flags.category, settings, flags.out, progress, workers=flags.workers)
    counts = {split: getattr(settings, split) for split in ("train", "val", "test")}
    say(f"now: resect fit occupancy {flags.out} --out runs/{flags.category}")
    result(flags.common, {"out": str(flags.out), "category": flags.category, **counts}, str(flags.out))
    return DONE


def prepare(flags: PrepareArguments, settings: "PrepareSettings") -> int:
    """Prepares meshes."""
    from resect.cli.progress import bar
    from resect.data.prepare_shapes import find_meshes, prepare_shapes

    meshes = find_meshes(flags.meshes)
    with bar("meshes") as progress:
        problems = prepare_shapes(meshes, flags.category, settings, flags.out, picture, progress)
    for problem in problems:
        say(f"note: {problem}")
    facts = {"out": str(flags.out), "meshes": len(meshes) - len(problems), "left_out": len(problems)}
    result(flags.common, facts, str(flags.out))
    return SOME_FAILED if problems else DONE


def picture(mesh: "Mesh", views: "Sequence[View]") -> list[Any]:
    """Views of a mesh on white, with opacity, each in its own light."""
    import torch

    from resect.geometry.se3 import SE3
    from resect.scenes.mesh.scene import MeshScene
    from resect.scenes.mesh.shade import Light

    images = []
    for view in views:
        x, y, z = view.light.tolist()
        scene = MeshScene(mesh.to(torch.float32), background=(1.0, 1.0, 1.0), light=Light(direction=(x, y, z)))
        found = scene.render(view.camera, SE3.stack([view.cam_from_obj]).float(), ("rgb", "alpha"))
        assert found.rgb is not None
        assert found.alpha is not None
        image = torch.cat([found.rgb[0], found.alpha[0][:, None]], -1)
        images.append(image.view(view.camera.height, view.camera.width, 4).clamp(0, 1))
    return images
