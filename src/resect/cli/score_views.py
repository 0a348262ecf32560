"""`resect score` for viewpoints: a network, or a list of views, against a folder of crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, refuse_overwrite, start
from resect.cli.output import result


@dataclass(frozen=True)
class ScoreViewsArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """Folder of 'resect fit viewpoint', or a list (MODEL IMAGE azimuth elevation tilt distance [confidence])."""
    truth: tyro.conf.Positional[Path]
    """Folder of 'resect data views'."""
    out: Path | None = None
    """List to write a network's answers to."""
    overwrite: bool = False
    """Write over --out."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score."""
    flags = parse(
        ScoreViewsArguments,
        arguments,
        prog="resect score",
        description="Viewpoints: accuracy within 30°, median error, AVP-4/8/16/24 of each category, and means.",
        example="resect score runs/viewpoint views --out answers.txt",
    )
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data.view_list import read_views
    from resect.evaluation.viewpoint_score import answers_in, answers_of, score_viewpoints, write_answers
    from resect.priors.viewpoint.prior import Viewpoint

    if flags.out is not None:
        refuse_overwrite(flags.out, flags.overwrite)
    truth = read_views(flags.truth)
    if (flags.answers / "artifact.json").is_file():
        prior = Viewpoint.load(flags.answers, flags.common.device)
        with bar("looking") as progress:
            answers = answers_of(prior, truth, progress)
    else:
        answers = answers_in(read_views(flags.answers), truth)
    if flags.out is not None:
        write_answers(answers, truth, flags.out)
    found = score_viewpoints(answers, truth)
    result(flags.common, found.as_json(), found.text())
    return 0
