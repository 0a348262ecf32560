"""`resect compare RUN…`: one table over several runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, refuse_overwrite, result, say, start
from resect.errors import ResectError


@dataclass(frozen=True)
class CompareArguments:
    """Which runs, against what."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Pose files."""
    truth: Path
    """Posed photos, or a published list of true poses."""
    poses: Path | None = None
    """List that holds the true poses of a 7-Scenes folder."""
    out: Path | None = None
    """Folder for a page with curves laid over each other, and a CSV."""
    overwrite: bool = False
    """Write over what is in --out."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Scores every run against the same truth."""
    flags = parse(CompareArguments, arguments, prog="resect compare", description="One table over several runs.")
    start(flags.common)
    from rich.console import Console

    from resect.data import read
    from resect.evaluation.compare import comparison_table, remarks, write_comparison
    from resect.evaluation.score import score

    if not flags.runs:
        raise ResectError("resect compare", "at least one pose file", "none")
    if flags.out is not None:
        refuse_overwrite(flags.out, flags.overwrite)
    is_list = flags.truth.is_file() and flags.truth.suffix.lower() != ".json"
    truth = flags.truth if is_list else read(flags.truth, poses=flags.poses)
    scores = {name: score(path, truth) for name, path in zip(_names(flags.runs), flags.runs, strict=True)}
    if flags.out is not None:
        say(f"page: {write_comparison(flags.out, scores)}")
    for remark in remarks(scores):
        say(f"note: {remark}")
    Console().print(comparison_table(scores))
    result(flags.common, {name: found.as_json() for name, found in scores.items()}, "")
    return 0


def _names(paths: Sequence[Path]) -> list[str]:
    """File stems where they differ, else whole paths."""
    stems = [p.stem for p in paths]
    return stems if len(set(stems)) == len(stems) else [str(p) for p in paths]
