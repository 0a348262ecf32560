"""`resect mesh info|symmetries|extract|simplify|convert|scale`: what is in a mesh, and how it becomes a scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.main import BAD_INPUT, DONE
from resect.cli.mesh_extract import ExtractArguments, extract
from resect.cli.mesh_scale import ScaleArguments, scale
from resect.cli.mesh_symmetries import SymmetriesArguments, symmetries
from resect.cli.options import COMMON, CommonFlags, refuse_overwrite
from resect.cli.output import result, say
from resect.cli.sub_verb import SubVerb, run_sub_verb
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.data.mesh.check import MeshReport
    from resect.geometry.mesh import Mesh


@dataclass(frozen=True)
class InfoArguments:
    """Size, units, axes, colours of meshes, and what is wrong with them."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """Mesh files: PLY, OBJ, OFF, STL, GLB, glTF."""
    units: str | None = None
    """Length of one unit: mm, cm, m, in, or a number of metres."""
    common: CommonFlags = COMMON


@dataclass(frozen=True)
class SimplifyArguments:
    """Fewer faces for the same shape; textures become colours of vertices."""

    path: tyro.conf.Positional[Path]
    """Mesh file."""
    faces: int
    """Faces to keep."""
    out: Path
    """File to write, .ply or .obj."""
    overwrite: bool = False
    """Replace files that are there."""
    common: CommonFlags = COMMON


@dataclass(frozen=True)
class ConvertArguments:
    """Another format for the same mesh, or other units."""

    path: tyro.conf.Positional[Path]
    """Mesh file."""
    out: Path
    """File to write, .ply or .obj; textures go beside it."""
    units: str | None = None
    """Length of one unit of the file: mm, cm, m, in, or a number of metres."""
    out_units: str | None = None
    """Units to write: positions are multiplied accordingly. Without it they stay as they are."""
    overwrite: bool = False
    """Replace files that are there."""
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
    """Goes on after a file that cannot be read, and says so with the exit code."""
    from resect.data.mesh import read_mesh
    from resect.data.mesh.check import check_mesh
    from resect.data.mesh.units import parse_units

    if not flags.paths:
        raise ResectError("mesh info", "a mesh file or more", "none")
    meters = None if flags.units is None else parse_units(flags.units)
    told: list[dict[str, Any]] = []
    texts, code = [], DONE
    for path in flags.paths:
        try:
            report = check_mesh(read_mesh(path, meters_per_unit=meters))
        except ResectError as error:
            say(f"resect mesh: {error}")
            told.append({"path": str(path), "error": str(error)})
            code = BAD_INPUT
            continue
        told.append({"path": str(path), **report.as_json()})
        texts.append(_text(report, path))
    result(flags.common, {"meshes": told}, "\n\n".join(texts))
    return code


def _text(report: "MeshReport", path: Path) -> str:
    low, high = report.bounds
    size = " x ".join(f"{b - a:.4g}" for a, b in zip(low, high, strict=True))
    span = ", ".join(f"{name} {a:.4g} to {b:.4g}" for name, a, b in zip("xyz", low, high, strict=True))
    pictures = ", ".join(f"{w}x{h}" for w, h in report.textures)
    declared = (
        "" if report.meters_per_unit is None else f"; {report.diameter * report.meters_per_unit:.4g} m as declared"
    )
    whole = (
        "watertight" if report.watertight else f"open at {report.open_edges} edges" if report.open_edges else "closed"
    )
    up = " or ".join(report.up) or "does not show from the shape"
    up += ", it stands on either" if len(report.up) == 2 else ""
    lines = [
        str(path),
        f"surface   {report.vertices} vertices, {report.faces} faces, connected parts: {report.parts}; {whole}",
        f"size      {size}, {report.units}{declared}",
        f"box       {span}",
        f"up        {up}",
        f"color     {report.color}{f' ({pictures})' if pictures else ''}",
    ]
    return "\n".join([*lines, *(f"{f.level:<9} {f.sentence}" for f in report.findings)])


def _simplify(flags: SimplifyArguments) -> int:
    from resect.data.mesh import write_mesh
    from resect.data.mesh.simplify import simplify

    refuse_overwrite(flags.out, flags.overwrite)
    mesh = open_mesh(flags.path, None)
    fewer = simplify(mesh, flags.faces)
    for note in fewer.notes[len(mesh.notes) :]:
        say(f"note: {note}")
    files = write_mesh(fewer, flags.out, overwrite=flags.overwrite)
    facts = {"out": str(flags.out), "faces": len(fewer.faces), "vertices": len(fewer.vertices)}
    text = f"{len(mesh.faces)} faces became {len(fewer.faces)}: {', '.join(map(str, files))}"
    result(flags.common, {**facts, "files": [str(f) for f in files]}, text)
    return DONE


def _convert(flags: ConvertArguments) -> int:
    import torch

    from resect.data.mesh import write_mesh
    from resect.data.mesh.units import parse_units
    from resect.geometry.mesh_edit import transformed
    from resect.geometry.sim3 import Sim3

    refuse_overwrite(flags.out, flags.overwrite)
    mesh, scale = open_mesh(flags.path, flags.units), 1.0
    if flags.out_units is not None:
        if mesh.meters_per_unit is None:
            fix = "Say what the file is in: --units mm, cm, m, in or a number."
            raise ResectError(flags.path, "known units for --out-units", "a file that does not tell", fix)
        scale = mesh.meters_per_unit / parse_units(flags.out_units)
        mesh = transformed(mesh, Sim3(torch.tensor(scale), torch.eye(3), torch.zeros(3)))
    files = write_mesh(mesh, flags.out, overwrite=flags.overwrite)
    result(flags.common, {"scale": scale, "files": [str(f) for f in files]}, ", ".join(map(str, files)))
    return DONE


_VERBS: dict[str, SubVerb] = {
    "symmetries": SubVerb(SymmetriesArguments, symmetries, "resect mesh symmetries part.ply --out models_info.json"),
    "info": SubVerb(InfoArguments, _info, "resect mesh info banana.obj --units m"),
    "extract": SubVerb(ExtractArguments, extract, "resect mesh extract runs/nerf --out nerf.ply"),
    "simplify": SubVerb(SimplifyArguments, _simplify, "resect mesh simplify scan.obj --faces 5000 --out small.ply"),
    "convert": SubVerb(
        ConvertArguments, _convert, "resect mesh convert part.stl --units mm --out-units m --out part.ply"
    ),
    "scale": SubVerb(
        ScaleArguments,
        scale,
        "resect mesh scale chair.ply --camera-height 0.75 --box 82 114 140 200 --camera camera.json --out metres.ply",
    ),
}
