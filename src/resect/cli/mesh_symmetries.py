"""`resect mesh symmetries`: the rotations that leave a mesh as it is, and a `models_info.json` with them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.main import BAD_INPUT, DONE
from resect.cli.options import COMMON, CommonFlags, generator
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from torch import Tensor

    from resect.shape.symmetry import Candidate, Level, SymmetryReport

_SHOWN, _REJECTED = 6, 2


@dataclass(frozen=True)
class SymmetriesArguments:
    """Rotations that leave a mesh as it is, discrete and continuous."""

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """Mesh files."""
    tolerance: float = 0.01
    """How far the surface may be from where it was, in diameters; what 0.05 and 0.1 would find is told too."""
    color_tolerance: float = 0.1
    """How much colours may differ, RGB from 0 to 1."""
    shape_only: bool = False
    """Colours do not count."""
    max_order: int = 64
    """Greatest n of a turn by a full turn / n."""
    out: Path | None = None
    """BOP's models_info.json to write: symmetries, diameter, box."""
    overwrite: bool = False
    """Merge into an --out that exists; its other models stay."""
    draw: Path | None = None
    """PNG of three views with the axes."""
    common: CommonFlags = COMMON


def symmetries(flags: SymmetriesArguments) -> int:
    """Runs the verb."""
    from resect.cli.mesh import open_mesh
    from resect.data.models_info import ModelInfo, write_models_info
    from resect.shape.symmetry import find_symmetries

    _check(flags)
    keys = model_keys(flags.paths)
    found: dict[str, Any] = {}
    infos: dict[str, ModelInfo] = {}
    texts, failed = [], False
    for path, key in zip(flags.paths, keys, strict=True):
        try:
            mesh = open_mesh(path, None)
            report = find_symmetries(
                mesh,
                tolerance=flags.tolerance,
                color_tolerance=flags.color_tolerance,
                use_color=not flags.shape_only,
                max_order=flags.max_order,
                generator=generator(flags.common),
            )
        except ResectError as error:
            if len(flags.paths) == 1:
                raise
            say(f"{path}: {error}")
            failed = True
            continue
        infos[key] = ModelInfo.of(mesh, report.symmetries)
        found[str(path)] = as_json(report)
        texts.append(as_text(path, report))
        if flags.draw is not None:
            from resect.shape.draw_symmetries import draw_symmetries

            draw_symmetries(mesh, report.symmetries, flags.draw)
    if flags.out is not None and infos:
        write_models_info(flags.out, infos, overwrite=flags.overwrite)
        texts.append(f"written: {flags.out} (models {', '.join(infos)})")
    result(flags.common, {"meshes": found}, "\n".join(texts))
    return BAD_INPUT if failed else DONE


def model_keys(paths: Sequence[Path]) -> list[str]:
    """BOP numbers its models: obj_000005.ply is "5"; another name is its own key."""
    numbered = [re.fullmatch(r"(?:obj_)?0*(\d+)", path.stem) for path in paths]
    keys = [m[1] if m else path.stem for m, path in zip(numbered, paths, strict=True)]
    twice = sorted({k for k in keys if keys.count(k) > 1})
    if twice:
        fix = "Give each model a name of its own."
        raise ResectError("PATH", "files with different names", f"several named {', '.join(twice)}", fix)
    return keys


def as_json(report: "SymmetryReport") -> dict[str, Any]:
    """What --json holds of one mesh."""
    from resect.data.models_info import symmetries_to_bop

    return {
        "group": report.group,
        "shape_group": report.shape_group,
        "motions": len(report.symmetries.discrete),
        "axes": len(report.symmetries.axes),
        "residual": report.residual,
        "color_residual": report.color_residual,
        "tolerance": report.tolerance,
        "color_tolerance": report.color_tolerance,
        "diameter": report.diameter,
        **symmetries_to_bop(report.symmetries),
        "candidates": [
            {
                "name": c.name,
                "axis": c.axis.direction.tolist(),
                "offset": c.axis.offset.tolist(),
                "residual": c.residual,
                "color_residual": c.color_residual,
                "accepted": c.accepted,
            }
            for c in report.candidates
        ],
        "levels": [
            {
                "tolerance": level.tolerance,
                "group": level.group,
                "shape_group": level.shape_group,
                "residual": level.residual,
                **symmetries_to_bop(level.symmetries),
            }
            for level in report.levels
        ],
        "notes": list(report.notes),
    }


def as_text(path: Path, report: "SymmetryReport") -> str:
    """A few lines for a person."""
    counts = f"{len(report.symmetries.discrete)} motions, {len(report.symmetries.axes)} continuous axes"
    limit = f"tolerance {report.tolerance:g} of the diameter {report.diameter:.4g}"
    lines = [f"{path}: {_MEANING.get(report.group, report.group)}; {counts}; {limit}"]
    for axis, order in report.symmetries.lines()[:_SHOWN]:
        turn = "any turn" if order is None else f"C{order}"
        lines.append(f"  {turn} about [{_numbers(axis.direction)}] through [{_numbers(axis.offset)}]")
    hidden = len(report.symmetries.lines()) - _SHOWN
    lines += [f"  … and about {hidden} more lines"] if hidden > 0 else []
    rejected = [c for c in report.candidates if not c.accepted and c.name != "mirror"]
    lines += [f"  rejected: {_line(c)}" for c in rejected[:_REJECTED]]
    lines += [f"  at --tolerance {x.tolerance:g}: {_level(x)}" for x in report.levels]
    return "\n".join([*lines, *(f"  {note}" for note in report.notes)])


_MEANING = {
    "C1": "no symmetry (C1)",
    "T": "those of a tetrahedron (T)",
    "O": "those of a cube (O)",
    "I": "those of an icosahedron (I)",
    "C∞": "any turn about an axis (C∞)",
    "D∞": "any turn about an axis, and a flip (D∞)",
    "K": "any rotation (K)",
}


def _level(level: "Level") -> str:
    shape = "" if level.shape_group == level.group else f", the shape alone {level.shape_group}"
    lines = level.symmetries.lines()
    about = f" about [{_numbers(lines[0][0].direction)}]" if lines else ""
    return f"{level.group}{about}{shape} (off by {level.residual:.4f})"


def _line(candidate: "Candidate") -> str:
    color = "" if candidate.color_residual is None else f", colour {candidate.color_residual:.3f}"
    return f"{candidate.name} about [{_numbers(candidate.axis.direction)}]: off by {candidate.residual:.4f}{color}"


def _numbers(vector: "Tensor") -> str:
    return " ".join(f"{x:.4g}" for x in (vector.double().round(decimals=4) + 0.0).tolist())


def _check(flags: SymmetriesArguments) -> None:
    if not flags.paths:
        raise ResectError("PATH", "one mesh or more", "none")
    if flags.draw is not None and len(flags.paths) > 1:
        raise ResectError("--draw", "one mesh", f"{len(flags.paths)}", "Draw one at a time.")
    for flag, path in (("--out", flags.out), ("--draw", flags.draw)):
        if path is not None and path.exists() and not flags.overwrite:
            raise ResectError(f"{flag} {path}", "a new file", "one that exists", "Add --overwrite or choose another.")
