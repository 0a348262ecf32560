"""`resect score`: errors, recalls and a report of a pose file; other kinds of answers are in `score_kinds`."""

import importlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, start
from resect.cli.output import result, say
from resect.cli.score_kinds import KINDS, kind_of
from resect.cli.several import place_folder
from resect.errors import ResectError


@dataclass(frozen=True)
class ScoreArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """Pose file of 'resect predict', or a list of others (7-Scenes, hloc, ACE, TUM)."""
    truth: tyro.conf.Positional[Path]
    """Posed photos, or a published list of true poses."""
    poses: Path | None = None
    """List that holds the true poses of a 7-Scenes folder."""
    train: Path | None = None
    """With a list as truth: the list of the training photos, which the scene's scale is taken from."""
    scene: Path | None = None
    """The scene, so that the report can lay its renders on the photos."""
    report: Path | None = None
    """Folder for report.html; by default beside the pose file when --scene is given."""
    single: bool = False
    """Of two files that could be trajectories (KITTI, TUM): each row is the pose of a photo by itself, with medians and
    recalls as of any poses, in place of errors of a path."""
    overwrite: bool = False
    """Write over an existing report."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score; writes a report where asked for."""
    kind = kind_of(arguments)
    if kind is not None:
        return int(importlib.import_module(kind.module).run(arguments))
    _refuse_missing(arguments)
    others = f"Also scores {', '.join(k.name for k in KINDS)}; give the files, then --help, for their flags."
    description = f"Errors and recalls of a pose file. {others}"
    example = "resect score poses.csv PHOTOS --scene runs/place"
    flags = parse(ScoreArguments, arguments, prog="resect score", description=description, example=example)
    start(flags.common)
    from resect.cli.reporting import refuse_old_report, report_score
    from resect.data import read
    from resect.evaluation.score import score

    scene = None if flags.scene is None else place_folder("--scene", str(flags.scene))
    folder = flags.report or (flags.answers.with_suffix(".report") if flags.scene is not None else None)
    if folder is not None:
        refuse_old_report(folder, flags.overwrite)
    is_list = flags.truth.is_file() and flags.truth.suffix.lower() != ".json"
    photos = None if is_list else read(flags.truth, poses=flags.poses)
    found = score(flags.answers, flags.truth if photos is None else photos, train=flags.train)
    if folder is not None:
        say(f"report: {report_score(flags.answers, found, photos, scene, folder)}")
    result(flags.common, found.as_json(), found.text())
    return 0


def _refuse_missing(arguments: Sequence[str]) -> None:
    """What is to be scored tells which flags there are; so a path that is wrong is said before flags are."""
    for path in list(itertools.takewhile(lambda a: not a.startswith("-"), arguments))[:2]:
        if not Path(path).exists():
            expected = "a pose file, a trajectory, or what else can be scored"
            raise ResectError(path, expected, "nothing there", "Check the path.")
