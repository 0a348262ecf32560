"""`resect score` for a category: novel views against photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, refuse_overwrite, start
from resect.cli.output import result

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class ScoreCategoryArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """Folder of 'resect fit sigma-srn'."""
    truth: tyro.conf.Positional[Path]
    """Folder of instances: views that it was not learned from."""
    instances: tuple[str, ...] = ()
    """Names of those to take; all by default."""
    views: int = 0
    """Of each instance, evenly spread; 0 takes all."""
    out: Path | None = None
    """CSV file with a row a view."""
    pictures: Path | None = None
    """Folder for pictures of seen, shown and squared error, INSTANCE/VIEW.png."""
    first: int = 250
    """Pictures of so many instances."""
    overwrite: bool = False
    """Write over --out and --pictures."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score."""
    flags = parse(
        ScoreCategoryArguments,
        arguments,
        prog="resect score",
        description="PSNR, SSIM and IoU of the foreground of novel views of a category.",
        example="resect score runs/chairs chairs/val --out views.csv --pictures views",
    )
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data.instances import read_instances
    from resect.evaluation.category_score import score_category
    from resect.scenes.sigma_srn.scene import SigmaSrn

    for path in (flags.out, flags.pictures):
        if path is not None:
            refuse_overwrite(path, flags.overwrite)
    data = read_instances(flags.truth, flags.views, flags.instances)
    scene = SigmaSrn.load(flags.answers, flags.common.device)
    with bar("views") as progress:
        found = score_category(scene, data, _writer(flags, data.names[: flags.first]), progress)
    if flags.out is not None:
        found.write_csv(flags.out)
    result(flags.common, found.as_json(), found.text())
    return 0


def _writer(flags: ScoreCategoryArguments, names: Sequence[str]) -> "Callable[[str, Any, Any], None] | None":
    """Writes a picture of a view of one of these instances."""
    from resect.artifact import write_atomic
    from resect.data.image import png_bytes
    from resect.scenes.sigma_srn.watch import side_by_side

    folder, wanted = flags.pictures, set(names)
    if folder is None:
        return None

    def write(name: str, shown: Any, seen: Any) -> None:
        instance, view = name.split("/")[0], Path(name).stem
        if instance in wanted:
            pixels = (255 * side_by_side(shown, seen)).round().byte().contiguous()
            write_atomic(folder / instance / f"{view}.png", png_bytes(pixels))

    return write
