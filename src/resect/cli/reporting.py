"""Reports from the command line: of a scored file, and of answers just given."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.evaluation.score import Score
    from resect.localizer import Localizer
    from resect.types import Estimate, Photo, PhotoSet


def report_score(poses: Path, score: "Score", photos: "PhotoSet | None", scene: Path | None, folder: Path) -> Path:
    """Writes the report of a scored file; with a scene that is no prior, its renders lie on the photos."""
    from resect import zoo
    from resect.evaluation.cases import cases_of_score
    from resect.evaluation.pictures import painter
    from resect.evaluation.report import write_report
    from resect.evaluation.run_folder import read_run

    run = read_run(poses)
    paint = painter(zoo.load(scene)) if scene is not None and zoo.role_of(scene) == "scene" else None
    return write_report(folder, cases_of_score(score, photos, run), score=score, run=run, paint=paint, overwrite=True)


def report_answers(
    where: "Localizer",
    answers: "Sequence[tuple[Photo, Estimate]]",
    unusable: Sequence[str],
    metric: bool,
    folder: Path,
) -> Path:
    """Writes `poses.csv` and `report.html` of new photos; files that could not be used are rows with that status."""
    from resect.evaluation.cases import cases_of_answers
    from resect.evaluation.pictures import painter
    from resect.evaluation.pose_file import UNREADABLE, PoseRow, rows_of, write_poses
    from resect.evaluation.report import write_report

    rows = [r for photo, e in answers for r in rows_of(photo.name, e, seconds=e.cost.seconds)]
    rows += [PoseRow(name, UNREADABLE, None) for name in unusable]
    write_poses(folder / "poses.csv", rows, "m" if metric else "scene", overwrite=True)
    paint = painter(where.scene) if where.scene is not None else None
    return write_report(folder, cases_of_answers(answers), paint=paint, overwrite=True)


def refuse_old_report(folder: Path, overwrite: bool) -> None:
    """An error, before any work, when a report would be replaced."""
    if (folder / "report.html").exists() and not overwrite:
        raise ResectError(
            folder,
            "a folder without a report",
            "an existing report",
            "Add --overwrite, or choose another folder with --report.",
        )
