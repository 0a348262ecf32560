"""`resect score` for two lists of boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, start
from resect.cli.output import result


@dataclass(frozen=True)
class ScoreBoxesArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """Boxes: name x_least x_greatest y_least y_greatest z_least z_greatest, one a line."""
    truth: tyro.conf.Positional[Path]
    """True boxes of the same names."""
    report: Path | None = None
    """Folder for a page that draws both in space, the worst first."""
    overwrite: bool = False
    """Replace a report that is there."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score."""
    flags = parse(
        ScoreBoxesArguments,
        arguments,
        prog="resect score",
        description="Intersection over union of axis-aligned boxes in space.",
        example="resect score boxes.txt true_boxes.txt",
    )
    start(flags.common)
    from resect.data.box_list import read_box_list
    from resect.evaluation.box_report import write_box_report
    from resect.evaluation.box_score import score_boxes

    answers, truth = read_box_list(flags.answers), read_box_list(flags.truth)
    found = score_boxes(answers, truth)
    facts, text = found.as_json(), found.text()
    if flags.report is not None:
        path = write_box_report(flags.report, answers, truth, found, overwrite=flags.overwrite)
        facts, text = {**facts, "report": str(path)}, f"{text}\n{path}"
    result(flags.common, facts, text)
    return 0
