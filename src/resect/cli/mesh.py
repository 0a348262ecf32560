"""`resect mesh info|…`: what is in a mesh file, and what to do with it before it becomes a scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from resect.cli.main import DONE
from resect.cli.options import COMMON, CommonFlags
from resect.cli.output import result, say
from resect.cli.sub_verb import SubVerb, run_sub_verb

if TYPE_CHECKING:
    from resect.geometry.mesh import Mesh


@dataclass(frozen=True)
class InfoArguments:
    """Size, units, axes, textures of meshes, and what is wrong with them."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """Mesh files: PLY, OBJ, OFF, STL, GLB, glTF."""
    units: str | None = None
    """Length of one unit: mm, cm, m, in, or a number of metres."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Runs one of the sub-verbs."""
    return run_sub_verb("mesh", _VERBS, arguments)


def open_mesh(path: Path, units: str | None) -> "Mesh":
    """A mesh file, its units from --units; what the reader notes is said on stderr."""
    from resect.data.mesh import read_mesh
    from resect.data.mesh.units import parse_units

    mesh = read_mesh(path, meters_per_unit=None if units is None else parse_units(units))
    for note in mesh.notes:
        say(f"note: {note}")
    return mesh


def _info(flags: InfoArguments) -> int:
    for path in flags.paths:
        mesh = open_mesh(path, flags.units)
        result(flags.common, {"vertices": len(mesh.vertices), "faces": len(mesh.faces)}, str(path))
    return DONE


_VERBS: dict[str, SubVerb] = {
    "info": SubVerb(InfoArguments, _info, "resect mesh info banana.obj --units m"),
}
