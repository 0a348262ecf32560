"""`resect compare RUN…`: one table over several runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, refuse_overwrite, start
from resect.cli.output import result, say
from resect.cli.score_kinds import trajectories
from resect.errors import ResectError

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class CompareArguments:
    """Which runs, against what."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Pose files, or trajectories."""
    truth: Path | None = None
    """Posed photos, a published list of true poses, or the true trajectory."""
    poses: Path | None = None
    """List that holds the true poses of a 7-Scenes folder."""
    curves: bool = False
    """The runs are tables of steps (NAME.steps.csv) of 'resect estimate --refiner inerf' or 'resect benchmark'."""
    align: Literal["none", "se3", "sim3"] = "se3"
    """How trajectories are laid onto the true one first."""
    out: Path | None = None
    """Folder for a page with curves laid over each other, and, of poses, a CSV."""
    overwrite: bool = False
    """Write over what is in --out."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Scores every run against the same truth."""
    example = "resect compare ours.csv theirs.csv --truth PHOTOS --out runs/comparison"
    description = "One table over several runs."
    flags = parse(CompareArguments, arguments, prog="resect compare", description=description, example=example)
    start(flags.common)
    if not flags.runs:
        raise ResectError("resect compare", "at least one pose file", "none")
    if flags.out is not None:
        refuse_overwrite(flags.out, flags.overwrite)
    if flags.curves:
        return _curves(flags)
    if flags.truth is None:
        raise ResectError("--truth", "posed photos, a list of true poses, or a trajectory", "none")
    if all(trajectories(path, flags.truth) for path in flags.runs):
        return _trajectories(flags, flags.truth)
    from resect.data import read
    from resect.evaluation.compare import comparison_tables, remarks, write_comparison
    from resect.evaluation.score import score

    is_list = flags.truth.is_file() and flags.truth.suffix.lower() != ".json"
    truth = flags.truth if is_list else read(flags.truth, poses=flags.poses)
    scores = {name: score(path, truth) for name, path in zip(_names(flags.runs), flags.runs, strict=True)}
    if flags.out is not None:
        say(f"page: {write_comparison(flags.out, scores)}")
    for remark in remarks(scores):
        say(f"note: {remark}")
    result(flags.common, {name: found.as_json() for name, found in scores.items()}, _text(*comparison_tables(scores)))
    return 0


def _curves(flags: CompareArguments) -> int:
    """Loss and errors over steps, laid over each other."""
    from resect.evaluation.descent import read_descent, write_curves

    if flags.out is None:
        raise ResectError("--out", "a folder for the page", "none")
    runs = {name: read_descent(path) for name, path in zip(_names(flags.runs), flags.runs, strict=True)}
    write_curves(flags.out / "curves.html", runs)
    facts = {name: {"steps": len(r.loss), "loss": r.loss[-1] if r.loss else None} for name, r in runs.items()}
    text = "\n".join(f"{name}: {f['steps']} steps, last loss {f['loss']}" for name, f in facts.items())
    result(flags.common, facts, f"{text}\n{flags.out / 'curves.html'}")
    return 0


def _trajectories(flags: CompareArguments, path_of_truth: Path) -> int:
    from resect.cli.options import generator
    from resect.data.trajectory import read_trajectory
    from resect.evaluation.trajectory_report import trajectory_table, write_trajectory_report
    from resect.evaluation.trajectory_score import TrajectorySettings, score_trajectory

    truth, settings = read_trajectory(path_of_truth), TrajectorySettings(align=flags.align)
    scores = {
        name: score_trajectory(read_trajectory(path), truth, settings, generator(flags.common))
        for name, path in zip(_names(flags.runs), flags.runs, strict=True)
    }
    if flags.out is not None:
        say(f"page: {write_trajectory_report(flags.out, scores, overwrite=True)}")
    result(flags.common, {name: s.as_json() for name, s in scores.items()}, _text(trajectory_table(scores)))
    return 0


def _text(*tables: "Table") -> str:
    """Tables as lines, as wide as the terminal, or as it needs to be where there is none."""
    import io
    import shutil

    from rich.console import Console

    width = shutil.get_terminal_size((200, 50)).columns
    console = Console(file=io.StringIO(), width=width)
    for table in tables:
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip("\n")


def _names(paths: Sequence[Path]) -> list[str]:
    """File stems where they differ, else whole paths."""
    stems = [p.stem for p in paths]
    return stems if len(set(stems)) == len(stems) else [str(p) for p in paths]
