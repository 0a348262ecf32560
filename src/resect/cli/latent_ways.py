"""What the command line offers of regressors beyond their poses: neighbours as a refiner, pictures of attention."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from resect.cli.answers import Answer
from resect.cli.output import say
from resect.errors import ResectError
from resect.refine.neighbour_settings import NeighbourSettings

if TYPE_CHECKING:
    from resect.localizer import Localizer


def with_neighbours(where: "Localizer", folder: Path, settings: NeighbourSettings, seed: int) -> "Localizer":
    """The same, refined by the training poses near each guess; for pose decoders."""
    from resect.place import read_place
    from resect.refine.neighbours import NeighbourCombination

    if where.scene is None or where.scene.channels != ("feature",):
        raise ResectError("--refiner neighbours", "a pose decoder as --scene", str(folder))
    return replace(where, refiner=NeighbourCombination(read_place(folder).cam_from_world, settings, seed))


def write_attention(where: "Localizer", answers: Sequence[Answer], out: Path) -> None:
    """`attention/NAME.position.png` and `.rotation.png` of each photo, where a prior can say where it looked."""
    from resect.evaluation.attention import overlay
    from resect.evaluation.pictures import to_pil

    looking: Any = next((prior for prior in where.priors if hasattr(prior, "attention")), None)
    if looking is None:
        return
    for answer in answers:
        if isinstance(answer.found, str):
            continue
        photo = answer.found[0]
        seen = looking.picture(photo)[0].permute(1, 2, 0)
        for part, weights in looking.attention(photo).items():
            path = out / "attention" / f"{PurePosixPath(answer.name).with_suffix('')}.{part}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            to_pil(overlay(seen, weights)).save(path)
    say(f"where it looked: {out / 'attention'}")
