"""Images with rotations of which some are held out, where the dataset has no parts for that."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resect.cli.output import say

if TYPE_CHECKING:
    from resect.data.rotation_set import RotationSet
    from resect.types import Split

_RULES = ("every", "blocks", "file")
_FILE = "split.json"


def is_rule(text: str) -> bool:
    """Whether --held-out names a rule, such as every:8, and not a part of the dataset."""
    return text.partition(":")[0] in _RULES


@dataclass(frozen=True, eq=False)
class Halves:
    """A set of which some photos are held out; images that share a photo stay together.

    Attributes:
        data: the whole set.
        names: of the photos, sorted.
    """

    data: "RotationSet"
    names: tuple[str, ...]

    @classmethod
    def of(cls, data: "RotationSet") -> "Halves":
        """Of any set; an image of known objects is named OBJECT:PHOTO, and several may share a photo."""
        return cls(data, tuple(sorted({_photo(name) for name in data.names})))

    def take(self, photos: Sequence[int]) -> "RotationSet":
        """All images of these photos."""
        chosen = {self.names[i] for i in photos}
        return self.data.subset([i for i, name in enumerate(self.data.names) if _photo(name) in chosen])


def write_halves(halves: Halves, split: "Split", folder: Path) -> None:
    """Keeps in a network's folder what it learned from."""
    from resect.data.split import save_split

    save_split(split, halves, folder / _FILE)


def not_learned_from(data: "RotationSet", folder: Path, learned_from: str) -> "RotationSet":
    """The images that a network held out, where its folder says that it learned from the others; else all."""
    from resect.data.split import load_split
    from resect.errors import ResectError
    from resect.priors.rotations.batches import digest

    if not (folder / _FILE).is_file():
        return data
    halves = Halves.of(data)
    try:
        split = load_split(folder / _FILE, halves)
    except ResectError:  # other photos
        return data
    if digest(halves.take(split.train)) != learned_from:
        return data
    held_out = halves.take(split.test)
    say(f"note: it learned from {len(data) - len(held_out)} of these images; the {len(held_out)} others are scored")
    return held_out


def _photo(name: str) -> str:
    return name.partition(":")[2] or name
