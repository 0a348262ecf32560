"""`resect score` for shapes: a network, or a folder of meshes, against true shapes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, refuse_overwrite, start
from resect.cli.output import result


@dataclass(frozen=True)
class ScoreShapesArguments:
    """What to score, against what."""

    answers: tyro.conf.Positional[Path]
    """Folder of 'resect fit occupancy', or of meshes named CATEGORY/MODEL.ply."""
    truth: tyro.conf.Positional[Path]
    """Folder of shapes: 'resect data shapes', 'resect data prepare', or the released layout."""
    split: str = "test"
    """Which list of shapes: train, val or test."""
    categories: tuple[str, ...] = ()
    """Category folders; all by default."""
    view: int = 0
    """Number of the view that a network is shown."""
    meshes: bool = False
    """Extract a network's meshes too, and measure distances."""
    count: int = 0
    """Only so many shapes; 0 takes all."""
    out: Path | None = None
    """CSV file with a row a shape."""
    overwrite: bool = False
    """Write over --out."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the score."""
    flags = parse(
        ScoreShapesArguments,
        arguments,
        prog="resect score",
        description="IoU, Chamfer distances and normal consistency of shapes; means over the shapes of each category.",
        example="resect score runs/chairs chairs --meshes --out shapes.csv",
    )
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data.shapes import read_shapes
    from resect.evaluation.shape_score import score_folder, score_network, score_shapes
    from resect.shape.occupancy import Occupancy

    if flags.out is not None:
        refuse_overwrite(flags.out, flags.overwrite)
    shapes = read_shapes(flags.truth, flags.split, flags.categories)
    shapes = shapes.take(flags.count) if flags.count else shapes
    if (flags.answers / "artifact.json").is_file():
        network = Occupancy.load(flags.answers, flags.common.device)
        answer = score_network(network, shapes, view=flags.view, meshes=flags.meshes)
    else:
        answer = score_folder(flags.answers, shapes)
    with bar("scoring") as progress:
        found = score_shapes(answer, shapes, progress)
    if flags.out is not None:
        found.write_csv(flags.out)
    result(flags.common, found.as_json(), found.text())
    return 0
