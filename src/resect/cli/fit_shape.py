"""`resect fit occupancy SHAPES --out DIR`: learn what a category of objects looks like, from shapes and their views."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.learn import begin, learn
from resect.cli.options import COMMON, CommonFlags, start
from resect.cli.output import result, say
from resect.errors import ResectError


@dataclass(frozen=True)
class FitShapeArguments:
    """Where the shapes are and what to make of them."""

    data: tyro.conf.Positional[Path]
    """Folder of categories, of 'resect data shapes' or 'resect data prepare', or in the released layout."""
    out: Path
    """Folder to make."""
    categories: tuple[str, ...] = ()
    """Category folders to learn from; all by default."""
    begin: Path | None = None
    """Folder of an occupancy network of the same sizes to begin from, to learn on or from other shapes."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def fit_shape(name: str, flags: FitShapeArguments, settings: Any) -> int:
    """Fits one of the zoo's shape networks."""
    from resect import zoo
    from resect.data.shapes import read_shapes

    start(flags.common)
    train = read_shapes(flags.data, "train", flags.categories)
    try:
        val = read_shapes(flags.data, "val", flags.categories)
    except ResectError:
        say("note: no val.lst, so the last network is kept, not the best")
        val = None
    say(f"{len(train)} shapes to learn from, {len(val) if val else 0} to choose the best network by")
    begin(flags)
    parents = () if flags.begin is None else (zoo.load(flags.begin),)
    learn(name, train, settings, flags, parents=parents, held_out=val)
    say(f"now: resect reconstruct PHOTO --shape {flags.out} --out object")
    result(flags.common, {"out": str(flags.out), "train": len(train)}, str(flags.out))
    return 0
