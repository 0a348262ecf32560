"""`resect fit image2sphere DATA --out DIR`: learn the rotation of an object from its crop, as a density."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.learn import begin, learn
from resect.cli.options import COMMON, CommonFlags, start
from resect.cli.output import result, say
from resect.errors import ResectError


@dataclass(frozen=True)
class FitRotationsArguments:
    """Where the images are and what to make of them."""

    data: tyro.conf.Positional[str]
    """Images with rotations: a folder with rotations.csv, SYMSOL, ModelNet10-SO(3), PASCAL3D+, SPEED+, an .npz file,
    photos of known objects; or drawn solids, "solids" or "solids:cube,cyl"."""
    out: Path
    """Folder to make."""
    split: str = "train"
    """Which part of the dataset to learn from."""
    held_out: str = ""
    """Part by which the best network is kept, such as val; by default the last network is."""
    film: Path | None = None
    """GIF to write: how the densities of an image of each category take shape."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def fit_rotations(name: str, flags: FitRotationsArguments, settings: Any) -> int:
    """Fits one of the networks for rotations."""
    from resect.cli.rotation_data import read_rotation_data
    from resect.evaluation.rotation_film import RotationFilm
    from resect.priors.rotations.batches import digest

    start(flags.common)
    if flags.held_out == flags.split:
        raise ResectError("--held-out", "another part than --split", flags.held_out)
    data = read_rotation_data(flags.data, flags.split, side=settings.side, device=settings.device)
    held_out = None
    if flags.held_out:
        held_out = read_rotation_data(flags.data, flags.held_out, side=settings.side, device=settings.device)
        if digest(held_out) == digest(data):
            fix = "Make folders train and val of them ('resect data rotations'), or leave --held-out away."
            raise ResectError(f"--held-out {flags.held_out}", "images that are not learned from", "the same", fix)
    known = data.known
    told = "equivalents known" if data.equivalents is not None else "equivalents not known"
    say(f"{data.format}: {len(data)} images of {', '.join(known[:12])}; {told}")
    begin(flags)
    film = RotationFilm(data if held_out is None else held_out) if flags.film is not None else None
    learn(name, data, settings, flags, held_out=held_out, peek=film)
    if film is not None and flags.film is not None and film.write(flags.film):
        say(f"{flags.film}: how it learned")
    say(f"now: resect score {flags.out} {flags.data}")
    result(flags.common, {"out": str(flags.out), "images": len(data), "categories": list(known)}, str(flags.out))
    return 0
