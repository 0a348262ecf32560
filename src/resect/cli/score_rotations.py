"""`resect score` for distributions over rotations: a network against images with true rotations."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, at_least, parse, refuse_overwrite, start
from resect.cli.output import result, say


@dataclass(frozen=True)
class ScoreRotationsArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """Folder of 'resect fit image2sphere', 'ipdf', or 'resect import'."""
    truth: tyro.conf.Positional[str]
    """Images with rotations, as for 'resect fit image2sphere'; drawn solids are others than those learned from."""
    split: str = "test"
    """Which part of the dataset."""
    level: int | None = None
    """Level of the grid's finest cells: 3 is 7.5°, 4 is 3.75°, 5 is 1.9°; the network's own by default."""
    most: int | None = None
    """Look at so many images alone, drawn once and for all."""
    out: Path | None = None
    """Table to write, a row an image."""
    report: Path | None = None
    """Folder for report.html, with pictures."""
    overwrite: bool = False
    """Write over --out and an existing report."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score."""
    flags = parse(
        ScoreRotationsArguments,
        arguments,
        prog="resect score",
        description="Densities over rotations: log-likelihood with its ceiling, errors, accuracy, spread, calibration.",
        example="resect score runs/image2sphere solids --level 5",
    )
    at_least("--level", 3 if flags.level is None else flags.level, 1)
    at_least("--most", 1 if flags.most is None else flags.most, 1)
    start(flags.common)
    import torch

    from resect import artifact
    from resect.cli.progress import bar
    from resect.cli.rotation_data import read_rotation_data
    from resect.cli.rotation_split import not_learned_from
    from resect.evaluation.rotation_score import score_rotations
    from resect.priors.rotations.batches import digest
    from resect.zoo import entry, resolve

    if flags.out is not None:
        refuse_overwrite(flags.out, flags.overwrite)
    if flags.report is not None:
        refuse_overwrite(flags.report / "report.html", flags.overwrite)
    kind = artifact.read_facts(flags.answers)["kind"]
    prior = resolve(entry(kind).load)(flags.answers, flags.common.device)
    data = read_rotation_data(flags.truth, flags.split, side=prior.settings.side, device=flags.common.device)
    data = not_learned_from(data, flags.answers, prior.learned_from)
    if prior.learned_from == digest(data):
        say("note: these are the images that it learned from; on others it is less right")
    if flags.most is not None and flags.most < len(data):
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
        data = data.subset(sorted(order[: flags.most].tolist()))
    with bar("images") as progress:
        found = score_rotations(prior, data, level=flags.level, progress=progress)
    if flags.out is not None:
        found.write(flags.out)
        say(f"{flags.out}: a row an image")
    if flags.report is not None:
        from resect.evaluation.rotation_report import write_rotation_report

        say(f"report: {write_rotation_report(flags.report, prior, data, found, overwrite=flags.overwrite)}")
    result(flags.common, found.as_json(), found.text())
    return 0
