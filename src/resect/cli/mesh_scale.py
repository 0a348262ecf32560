"""`resect mesh scale MESH`: metres for a mesh of unknown size, from one photo of it or from its height."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags, refuse_overwrite
from resect.cli.output import result
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.geometry.camera import Camera


@dataclass(frozen=True)
class ScaleArguments:
    """Metres for a mesh, from the camera's height over the ground it stands on in a photo, or from its own height."""

    path: tyro.conf.Positional[Path]
    """Mesh file."""
    out: Path
    """File to write, .ply or .obj, in metres."""
    height: float | None = None
    """Height of the object, metres."""
    camera_height: float | None = None
    """Height of a level camera over the ground that the object stands on, metres; with --box and --camera."""
    box: tuple[float, float, float, float] | None = None
    """Where the object is seen: left, top, right, bottom, pixels."""
    camera: Path | None = None
    """Intrinsics of the photo: transforms.json, COLMAP cameras.txt, or JSON with fx fy cx cy width height."""
    up: Literal["x", "y", "z"] = "y"
    """Axis of the mesh that points up; meshes of `resect reconstruct` have y."""
    as_published: bool = False
    """Take the foot's distance for its depth, as the published system does: larger by a few per cent."""
    overwrite: bool = False
    """Replace files that are there."""
    common: CommonFlags = COMMON


def scale(flags: ScaleArguments) -> int:
    """Writes the mesh in metres and says by how much it was scaled."""
    refuse_overwrite(flags.out, flags.overwrite)
    if (flags.height is None) == (flags.camera_height is None):
        raise ResectError("mesh scale", "one of --height and --camera-height", "both or neither")
    from dataclasses import replace

    from resect.data.mesh import read_mesh, write_mesh
    from resect.shape.scale import from_size

    mesh = read_mesh(flags.path)
    axis = "xyz".index(flags.up)
    own = float(mesh.bounds[1, axis] - mesh.bounds[0, axis])
    height = _height(flags) if flags.height is None else flags.height
    factor = from_size(own, height)
    metric = replace(mesh, vertices=mesh.vertices * factor, meters_per_unit=1.0)
    files = write_mesh(metric, flags.out, overwrite=flags.overwrite)
    text = f"{own:.4g} units high, {height:.4g} m: scaled by {factor:.6g}; {', '.join(map(str, files))}"
    result(flags.common, {"scale": factor, "height_m": height, "files": [str(f) for f in files]}, text)
    return DONE


def _height(flags: ScaleArguments) -> float:
    """Of the object, from where it stands in the photo."""
    from resect.data.camera_file import read_camera
    from resect.shape.scale import standing

    if flags.box is None or flags.camera is None or flags.camera_height is None:
        raise ResectError("--camera-height", "--box and --camera too", "not both of them")
    camera: Camera = read_camera(flags.camera)
    return standing(camera, flags.box, flags.camera_height, as_published=flags.as_published).height
