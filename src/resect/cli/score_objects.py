"""`resect score` for BOP results against a BOP dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, start
from resect.cli.output import result


@dataclass(frozen=True)
class ScoreObjectsArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """BOP results: METHOD_DATASET-SPLIT.csv."""
    truth: tyro.conf.Positional[Path]
    """BOP dataset, split or scene, with its models."""
    vsd_delta_m: float = 0.015
    """Tolerance of VSD's visibility test in metres; the BOP challenge takes 0.005 for ITODD."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score."""
    flags = parse(
        ScoreObjectsArguments,
        arguments,
        prog="resect score",
        description="Average recall (BOP), ADD(-S) at 0.1 diameter and 5° 5 cm, over all and object by object.",
        example="resect score resect_lmo-test.csv lmo",
    )
    start(flags.common)
    from resect.evaluation.bop import score_bop

    found = score_bop(flags.answers, flags.truth, vsd_delta_m=flags.vsd_delta_m)
    result(flags.common, found.as_json(), found.text())
    return 0
