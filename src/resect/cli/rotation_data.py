"""Images with rotations by what a user writes: a folder of one of the formats, or "solids:NAMES" drawn on the way."""

from pathlib import Path
from typing import TYPE_CHECKING

from resect.cli.output import say
from resect.errors import unknown_name

if TYPE_CHECKING:
    from resect.data.rotation_set import RotationSet

SOLIDS = "solids"
_IMAGES = {"train": 100_000, "test": 100, "val": 50}


def is_solids(text: str | Path) -> bool:
    """Whether drawn solids are meant, and not a folder."""
    return str(text).partition(":")[0] == SOLIDS and not Path(text).exists()


def read_rotation_data(text: str | Path, split: str, *, side: int, device: str = "cpu") -> "RotationSet":
    """The images.

    Args:
        text: a folder or file of a known format; or "solids" or "solids:cube,cyl".
        split: "train", "test" or another that the format has; solids have "val".
        side: pixels of drawn images.
        device: where they are drawn.
    """
    if is_solids(text):
        from resect.synthesis.symsol.make import SEEDS, SolidSettings, make_solids
        from resect.synthesis.symsol.shapes import PLAIN

        if split not in SEEDS:
            raise unknown_name("split of drawn solids", split, tuple(SEEDS))
        names = tuple(str(text).partition(":")[2].split(",")) if ":" in str(text) else PLAIN
        settings = SolidSettings(names, _IMAGES[split], side, SEEDS[split])
        return make_solids(settings, device)
    from resect.data.rotations.read import read_rotations

    found = read_rotations(text, split)
    for note in found.notes:
        say(f"note: {note}")
    return found
