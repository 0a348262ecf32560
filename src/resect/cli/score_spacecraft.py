"""`resect score` for poses of a spacecraft in its photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, start
from resect.cli.output import result


@dataclass(frozen=True)
class ScoreSpacecraftArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """Pose file, or a list: file qw qx qy qz tx ty tz, one a line; the object in the camera's frame."""
    truth: tyro.conf.Positional[Path]
    """SPEED+ folder, or one with rotations.csv in which there are positions."""
    split: str = "lightbox/test"
    """Which part of the dataset."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score."""
    flags = parse(
        ScoreSpacecraftArguments,
        arguments,
        prog="resect score",
        description="The SPEED+ score: mean of relative position error and rotation error in radians.",
        example="resect score answers.csv speedplusv2 --split sunlamp/test",
    )
    start(flags.common)
    from resect.cli.rotation_data import read_rotation_data
    from resect.evaluation.spacecraft_score import score_spacecraft

    found = score_spacecraft(flags.answers, read_rotation_data(flags.truth, flags.split, side=0))
    result(flags.common, found.as_json(), found.text())
    return 0
