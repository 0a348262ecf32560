"""`resect score POSECNN OBJECTS`: a detector of known objects against photos with masks and poses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.options import COMMON, CommonFlags, at_least, parse, refuse_overwrite, start
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from collections.abc import Callable

    from resect.types import Hypotheses, Photo


@dataclass(frozen=True)
class ScoreDetectorArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """Folder of 'resect fit posecnn'."""
    truth: tyro.conf.Positional[Path]
    """BOP dataset, PROPS-Pose folder, or frames as PoseCNN has them."""
    split: str | None = None
    """Split of the dataset; by default that which is held out."""
    visible: float = 0.5
    """Least visible share of the objects that are asked for."""
    refine: bool = False
    """Refine each pose against the object's mesh too."""
    report: Path | None = None
    """Folder for report.html, score.json and pictures of what was found: masks, centres, axes."""
    photos: int | None = None
    """Most photos to look at, spread evenly; by default all."""
    overwrite: bool = False
    """Write over what is in --report."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score; draws pictures where asked for."""
    flags = parse(
        ScoreDetectorArguments,
        arguments,
        prog="resect score",
        description="Detections of known objects: share found, IoU of masks, 5°5cm, ADD(-S), of each object.",
        example="resect score runs/posecnn OBJECTS --refine --report pictures",
    )
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data.objects import read_objects
    from resect.evaluation.detector_report import write_detector_report
    from resect.evaluation.detector_score import score_detector
    from resect.priors.posecnn.prior import PoseCnn

    if not 0 <= flags.visible <= 1:
        raise ResectError("--visible", "a share from 0 to 1", f"{flags.visible:g}")
    if flags.photos is not None:
        at_least("--photos", flags.photos, 1)
    if flags.report is not None:
        refuse_overwrite(flags.report, flags.overwrite)
    data = read_objects(flags.truth, split=flags.split)
    detector = PoseCnn.load(flags.answers, flags.common.device)
    refine = _refiner(data, flags.common.seed) if flags.refine else None
    drawn: dict[str, Path] = {}
    shown = None if flags.report is None else _drawer(flags.report, drawn)
    with bar("looking") as progress:
        found = score_detector(
            detector, data, visible=flags.visible, most=flags.photos, refine=refine, progress=progress, shown=shown
        )
    if flags.report is not None:
        say(f"report: {write_detector_report(flags.report, found, drawn)}")
    result(flags.common, found.as_json(), found.text())
    return 0


def _refiner(data: Any, seed: int) -> "Callable[[Photo, Hypotheses], Any]":
    from resect.known_objects import open_object, refine_found

    where: dict[str, Any] = {}

    def refine(photo: "Photo", guess: "Hypotheses") -> Any:
        assert photo.target is not None
        name = photo.target.object_id
        if name not in where:
            where[name] = open_object(data[name].load_mesh(), symmetries=data[name].symmetries, seed=seed)
        return refine_found(where[name], photo, guess)

    return refine


def _drawer(folder: Path, drawn: dict[str, Path]) -> "Callable[[Photo, Sequence[tuple[Photo, Hypotheses]]], None]":
    from pathlib import PurePosixPath

    from resect.artifact import write_atomic
    from resect.data.image import png_bytes
    from resect.evaluation.detection_pictures import drawn_detections

    def draw(photo: "Photo", found: "Sequence[tuple[Photo, Hypotheses]]") -> None:
        name = "_".join(PurePosixPath(photo.name).with_suffix("").parts)
        drawn[photo.name] = folder / f"{name}.png"
        write_atomic(drawn[photo.name], png_bytes(drawn_detections(photo, found)))

    return draw
