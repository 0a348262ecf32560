"""`resect estimate --refiner inerf`: iNeRF's steps, and what is written of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from resect.cli.answers import Answer
from resect.cli.output import say
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.localizer import Localizer
    from resect.protocols import Scene
    from resect.types import Estimate


def with_inerf(where: "Localizer", settings: Any, starts: int, seed: int) -> "Localizer":
    """The same with iNeRF as its refiner."""
    from resect.refine.inerf import Inerf

    if where.scene is None or "rgb" not in where.scene.channels:
        raise ResectError("--refiner inerf", "a scene with colour", "another")
    errors = getattr(where.refiner, "errors", None)
    return replace(where, refiner=Inerf(settings, starts=starts, seed=seed, errors=errors))


def write_steps(
    answers: Sequence[Answer],
    scene_of: "Callable[[Estimate], Scene | None]",
    out: Path,
    film_as: str = "gif",
    stage: str = "",
) -> None:
    """`NAME.steps.csv` and `NAME.gif` (or `.mp4`) of each photo, and `steps.html` with all curves.

    Args:
        answers: with traces.
        scene_of: what an answer is rendered from.
        out: folder.
        film_as: ending of the films' names.
        stage: how the names of the steps begin that are told of.
    """
    from resect.cli.progress import bar
    from resect.cli.render import write_frames
    from resect.evaluation.descent import descent_of, film, write_curves, write_descent

    runs = {}
    with bar("films") as progress:
        for done, answer in enumerate(answers, 1):
            if isinstance(answer.found, str) or (scene := scene_of(answer.found[1])) is None:
                continue
            photo, estimate = answer.found
            estimate = replace(estimate, trace=tuple(step for step in estimate.trace if step.stage.startswith(stage)))
            if not estimate.trace:
                continue
            stem = PurePosixPath(answer.name).with_suffix("")
            runs[answer.name] = descent_of(estimate)
            write_descent(out / f"{stem}.steps.csv", runs[answer.name])
            if photo.camera is not None:
                write_frames(film(photo, estimate, scene), out / f"{stem}.{film_as}", 8)
            progress(done, len(answers), answer.name)
    if runs:
        write_curves(out / "steps.html", runs)
        say(f"curves: {out / 'steps.html'}")
