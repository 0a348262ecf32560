"""`resect score TRAJECTORY TRUTH`: absolute and relative errors of a camera's path."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from resect.cli.options import COMMON, CommonFlags, generator, parse, refuse_overwrite, start
from resect.cli.output import result, say
from resect.data.trajectory import QuaternionOrder, TrajectoryFormat
from resect.evaluation.trajectory_score import TrajectorySettings

_SETTINGS = TrajectorySettings()


@dataclass(frozen=True)
class ScoreTrajectoryArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """Trajectory: TUM, KITTI or EuRoC; the format is found out."""
    truth: tyro.conf.Positional[Path]
    """The true one, in any of these formats."""
    compare: Annotated[TrajectorySettings, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="")] = _SETTINGS
    format: TrajectoryFormat | None = None
    """Format of the estimate, if it is not found out."""
    times: Path | None = None
    """Time stamps of a KITTI estimate, one a line."""
    truth_times: Path | None = None
    """Time stamps of a KITTI truth, one a line."""
    order: QuaternionOrder | None = None
    """Order of the estimate's quaternions, if it is not its format's."""
    save: Path | None = None
    """File for the aligned estimate, in TUM's format."""
    report: Path | None = None
    """Folder for report.html (paths, errors over time and by colour), the aligned poses, and all errors as CSV."""
    overwrite: bool = False
    """Write over an existing report or file."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score; writes a report and the aligned trajectory where asked for."""
    description = (
        "Absolute and relative errors (ATE, RPE) of a camera's path. "
        "Where the rows are poses of single photos, --single gives their medians and recalls instead."
    )
    example = "resect score estimate.txt groundtruth.txt --align sim3 --report runs/path"
    flags = parse(ScoreTrajectoryArguments, arguments, prog="resect score", description=description, example=example)
    start(flags.common)
    from resect.cli.reporting import refuse_old_report
    from resect.data.trajectory import read_trajectory, write_trajectory
    from resect.evaluation.trajectory_report import write_trajectory_report
    from resect.evaluation.trajectory_score import score_trajectory

    if flags.report is not None:
        refuse_old_report(flags.report, flags.overwrite)
    if flags.save is not None:
        refuse_overwrite(flags.save, flags.overwrite)
    estimate = read_trajectory(flags.answers, flags.format, times=flags.times, order=flags.order)
    truth = read_trajectory(flags.truth, times=flags.truth_times)
    score = score_trajectory(estimate, truth, flags.compare, generator(flags.common))
    if flags.save is not None:
        write_trajectory(score.aligned, flags.save, overwrite=True)
        say(f"aligned: {flags.save}")
    if flags.report is not None:
        page = write_trajectory_report(flags.report, {flags.answers.stem: score}, overwrite=True)
        say(f"report: {page}")
    result(flags.common, score.as_json(), score.text())
    return 0
