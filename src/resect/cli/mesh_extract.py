"""`resect mesh extract NERF --out FILE`: a mesh of what a NeRF is dense at."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags, at_least, refuse_overwrite, start
from resect.cli.output import result
from resect.errors import ResectError


@dataclass(frozen=True)
class ExtractArguments:
    """A mesh of what a NeRF is dense at, with colours, in the world of its photos."""

    scene: tyro.conf.Positional[Path]
    """Folder of 'resect fit nerf' or 'resect import'."""
    out: Path
    """File to write, .ply or .obj."""
    density: float | None = None
    """Density on the surface, per world unit; by default a hundredth of the scene stops half the light."""
    cells: int = 32
    """Of the coarse grid along each axis."""
    halvings: int = 2
    """How often cells that the surface crosses are halved."""
    margin: float = 0.1
    """Beyond the box around what the cameras saw, part of it."""
    overwrite: bool = False
    """Replace a file that is there."""
    common: CommonFlags = COMMON


def extract(flags: ExtractArguments) -> int:
    """Writes the mesh."""
    from dataclasses import replace

    import torch

    from resect.data.mesh import write_mesh
    from resect.scenes.nerf.scene import Nerf
    from resect.scenes.nerf.surface import colours, density, half_opaque
    from resect.shape.isosurface import evaluate, marching_cubes

    at_least("--cells", flags.cells, 2)
    at_least("--halvings", flags.halvings, 0)
    at_least("--margin", flags.margin, 0)
    refuse_overwrite(flags.out, flags.overwrite)
    start(flags.common)
    scene = Nerf.load(flags.scene, flags.common.device)
    level = half_opaque(scene) if flags.density is None else flags.density
    if not 0 < level < float("inf"):
        raise ResectError("--density", "a number above 0", f"{level}")
    middle = scene.bounds.mean(0)
    side = float((scene.bounds[1] - scene.bounds[0]).max()) * (1 + 2 * flags.margin)
    value = evaluate(lambda p: density(scene, p + middle), level, cells=flags.cells, halvings=flags.halvings, side=side)
    if not bool((value > level).any()):
        fix = "Give a --density below it, or a NeRF that has learned longer."
        raise ResectError(
            "--density", f"one that is reached; the greatest is {float(value.max()):.3g}", f"{level:.3g}", fix
        )
    mesh = marching_cubes(value, level, side=side)
    vertices = mesh.vertices + middle
    seen = colours(scene, vertices, -mesh.vertex_normals().to(torch.float32))
    write_mesh(replace(mesh, vertices=vertices, colors=seen.clamp(0, 1)), flags.out, overwrite=flags.overwrite)
    facts = {"out": str(flags.out), "faces": len(mesh.faces), "density": level}
    result(flags.common, facts, f"{flags.out}: {len(mesh.faces)} faces")
    return DONE
