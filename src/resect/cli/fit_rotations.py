"""`resect fit image2sphere DATA --out DIR`: learn the rotation of an object from its crop, as a density."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from resect.cli.learn import begin, learn
from resect.cli.options import COMMON, CommonFlags, start
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.cli.rotation_split import Halves
    from resect.data.rotation_set import RotationSet
    from resect.types import Split


@dataclass(frozen=True)
class FitRotationsArguments:
    """Where the images are and what to make of them."""

    data: tyro.conf.Positional[str]
    """Images with rotations: a folder with rotations.csv, SYMSOL, ModelNet10-SO(3), PASCAL3D+, SPEED+, an .npz file,
    photos of known objects; or drawn solids, "solids" or "solids:cube,cyl"."""
    out: Path
    """Folder to make."""
    split: str = "train"
    """Which part of the dataset to learn from; train:sphereX names shapes of SYMSOL."""
    held_out: str = ""
    """Part by which the best network is kept, such as val; or every:8, blocks:20:4 or file:NAMES, which hold out photos
    of --split. By default the last network is kept."""
    film: Path | None = None
    """GIF to write: how the densities of an image of each category take shape."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def fit_rotations(name: str, flags: FitRotationsArguments, settings: Any) -> int:
    """Fits one of the networks for rotations."""
    from resect.cli.rotation_split import write_halves
    from resect.evaluation.rotation_film import RotationFilm

    start(flags.common)
    data, held_out, halves = _read(flags, settings)
    known = data.known
    told = "equivalents known" if data.equivalents is not None else "equivalents not known"
    more = "" if held_out is None else f", {len(held_out)} held out"
    named = f" of {', '.join(known[:12])}" if any(known) else ""
    say(f"{data.format}: {len(data)} images{named}{more}; {told}")
    begin(flags)
    film = RotationFilm(data if held_out is None else held_out) if flags.film is not None else None
    learn(name, data, settings, flags, held_out=held_out, peek=film)
    if halves is not None:
        write_halves(*halves, flags.out)
    if film is not None and flags.film is not None and film.write(flags.film):
        say(f"{flags.film}: how it learned")
    say(f"now: resect score {flags.out} {flags.data}")
    result(flags.common, {"out": str(flags.out), "images": len(data), "categories": list(known)}, str(flags.out))
    return 0


def _read(
    flags: FitRotationsArguments, settings: Any
) -> "tuple[RotationSet, RotationSet | None, tuple[Halves, Split] | None]":
    """What is learned from, what is held out, and by which rule where that is a part of the same set."""
    from resect.cli.rotation_data import read_rotation_data
    from resect.cli.rotation_split import Halves, is_rule
    from resect.data.split import split_names
    from resect.priors.rotations.batches import digest

    if flags.held_out == flags.split:
        fix = "Name another part, or hold out some of it: --held-out every:8."
        raise ResectError("--held-out", "another part than --split", flags.held_out, fix)
    data = read_rotation_data(flags.data, flags.split, side=settings.side, device=settings.device)
    if is_rule(flags.held_out):
        halves = Halves.of(data)
        split = split_names(halves, flags.held_out)
        return halves.take(split.train), halves.take(split.test), (halves, split)
    if not flags.held_out:
        return data, None, None
    held_out = read_rotation_data(flags.data, flags.held_out, side=settings.side, device=settings.device)
    if digest(held_out) == digest(data):
        fix = "They have no parts; hold out some of them: --held-out every:8."
        raise ResectError(f"--held-out {flags.held_out}", "images that are not learned from", "the same", fix)
    return data, held_out, None
