"""`resect fit NAME DATA --out DIR`: learn a scene (with the priors that start its inversion) or a prior alone."""

from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from resect.cli.options import COMMON, CommonFlags, generator, parse, refuse_overwrite, result, say, start
from resect.zoo import ZOO, entry, resolve


@dataclass(frozen=True)
class FitArguments:
    """Where the photos are and what to make of them."""

    data: tyro.conf.Positional[Path]
    """Folder of posed photos, or its transforms.json."""
    out: Path
    """Folder to make."""
    poses: Path | None = None
    """List that picks the poses of a 7-Scenes folder."""
    test: str | None = None
    """Photos held out: every:8, blocks:20:4, file:NAMES, given or none; by default the format's own, else every:8."""
    priors: tuple[str, ...] = ("landmarks", "retrieval")
    """Priors to learn beside a scene."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Fits one entry of the zoo."""
    named = {name: e for name, e in ZOO.items() if e.fit}
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = "\n".join(f"  {name:<12} {e.line}" for name, e in named.items())
        print(f"usage: resect fit NAME DATA --out DIR [--flags]\n\n{lines}\n\nresect fit NAME --help lists its flags.")
        return 0
    name = arguments[0]
    settings_type = resolve(entry(name, fitted=True).settings)
    settings_field = (name.replace("-", "_"), settings_type, settings_type())
    flags_type = make_dataclass("Flags", [("fit", Annotated[FitArguments, tyro.conf.OmitArgPrefixes]), settings_field])
    flags: Any = parse(flags_type, arguments[1:], prog=f"resect fit {name}", description=named[name].line)
    return _fit(name, flags.fit, getattr(flags, settings_field[0]))


def _fit(name: str, flags: FitArguments, settings: Any) -> int:
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data import read
    from resect.data.split import make_split
    from resect.place import fit_place
    from resect.types import Split

    photos = read(flags.data, poses=flags.poses)
    everything = Split(tuple(range(len(photos))), (), "none")
    split = everything if flags.test == "none" else make_split(photos, flags.test)
    say(f"{photos.format}: {len(photos)} photos, {len(split.train)} to learn from, {len(split.test)} held out")
    for note in photos.notes:
        say(f"note: {note}")
    if flags.overwrite:
        _clear(flags.out)
    elif not (flags.out / "split.json").is_file():
        refuse_overwrite(flags.out, overwrite=False)
    priors = flags.priors if ZOO[name].role == "scene" else ()
    fit_place(photos, split, name, settings, flags.out, priors=priors, generator=generator(flags.common), stage=bar)
    result(flags.common, {"out": str(flags.out), "train": len(split.train), "test": len(split.test)}, str(flags.out))
    return 0


def _clear(out: Path) -> None:
    """Removes what an earlier fit wrote, and nothing else."""
    import shutil

    for name in ("artifact.json", "weights.safetensors", "split.json", "place.json", "errors.json", "log.jsonl"):
        (out / name).unlink(missing_ok=True)
    for name in ("priors", "checkpoints", "tensorboard"):
        shutil.rmtree(out / name, ignore_errors=True)
