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
    from resect.evaluation.box_score import score_boxes

    found = score_boxes(flags.answers, flags.truth)
    result(flags.common, found.as_json(), found.text())
    return 0
