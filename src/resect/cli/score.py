"""`resect score`: errors, recalls and a report of a pose file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, result, say, start


@dataclass(frozen=True)
class ScoreArguments:
    """What to score, against what."""

    poses: tyro.conf.Positional[Path]
    """Pose file of 'resect predict', or a list of others (7-Scenes, hloc, ACE, TUM)."""
    truth: tyro.conf.Positional[Path]
    """Posed photos, or a published list of true poses."""
    poses_of_truth: Path | None = None
    """List that holds the true poses of a 7-Scenes folder."""
    report: Path | None = None
    """Folder for report.html; default beside the pose file when --scene is given."""
    scene: Path | None = None
    """The scene, so that the report can show its renders on the photos."""
    overwrite: bool = False
    """Write over an existing report."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score; writes a report where asked for."""
    flags = parse(ScoreArguments, arguments, prog="resect score", description="Errors and recalls of a pose file.")
    start(flags.common)
    from resect.evaluation.score import score

    truth = flags.truth
    found = score(flags.poses, _truth(truth, flags.poses_of_truth))
    folder = flags.report or (flags.poses.with_suffix(".report") if flags.scene else None)
    if folder is not None:
        from resect.cli.reporting import write_report

        say(f"report: {write_report(flags.poses, truth, flags.poses_of_truth, flags.scene, folder, flags.overwrite)}")
    result(flags.common, found.as_json(), found.text())
    return 0
