"""`resect demo [NAME]`: the whole way on built-in data. Photograph, fit, predict, score, report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from resect.cli.main import DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, generator, governed, parse, refuse_overwrite, start
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.types import PhotoSet


@dataclass(frozen=True)
class DemoArguments:
    """Which, where to, and how thorough."""

    name: tyro.conf.Positional[Literal["place", "relocalize", "object", "rotations", "category"]] = "place"
    """place: photos of a room; relocalize: the same by a learned regressor, its latents, then the room itself; object:
    known objects in clutter; rotations: all that a picture allows; category: chairs that no one has seen before."""
    out: Path = Path("runs/demo")
    """Folder to make, by default runs/demo or runs/demo-NAME; the same command again goes on where it stopped."""
    quick: bool = False
    """Fewer and smaller photos, for a first look."""
    overwrite: bool = False
    """Start anew over an earlier demo."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Photographs what is built in and finds the poses."""
    description = "The whole way on built-in data: photograph, learn, find the held-out photos, score, report."
    example = "resect demo object --quick"
    flags = parse(DemoArguments, arguments, prog="resect demo", description=description, example=example)
    if flags.name != "place" and flags.out == DemoArguments.out:
        flags = replace(flags, out=flags.out.with_name(f"demo-{flags.name}"))
    _make_room(flags)
    start(flags.common)
    began = time.perf_counter()
    if flags.name == "object":
        from resect.cli.demo_object import run_object

        facts, text, report = run_object(flags)
    elif flags.name == "rotations":
        from resect.cli.demo_rotations import run_rotations

        facts, text, report = run_rotations(flags)
    elif flags.name == "category":
        from resect.cli.demo_category import run_category

        facts, text, report = run_category(flags)
    elif flags.name == "relocalize":
        from resect.cli.demo_relocalize import run_relocalize

        facts, text, report = run_relocalize(flags)
    else:
        facts, text, report = _whole_way(flags)
    seconds = time.perf_counter() - began
    facts |= {"demo_seconds": round(seconds, 1), "report": str(report)}
    result(flags.common, facts, f"{text}\n\nin {seconds:.0f} s; open {report}")
    return SOME_FAILED if facts["failed"] else DONE


def _make_room(flags: DemoArguments) -> None:
    """Refuses what is not an earlier demo of the same flags; notes the flags."""
    from resect.artifact import difference, read_json, write_json

    noted = flags.out / "demo.json"
    asked: dict[str, Any] = {"quick": flags.quick, "seed": flags.common.seed}
    asked |= {} if flags.name == "place" else {"name": flags.name}
    if flags.overwrite:
        _clear(flags.out)
    elif noted.is_file():
        made = read_json(noted)
        if made != asked:
            got = difference(made if isinstance(made, dict) else {}, asked)
            raise ResectError(
                flags.out, "the flags of the demo that is there", got, "Add --overwrite, or choose another --out."
            )
    else:
        refuse_overwrite(flags.out, overwrite=False)
    write_json(noted, asked)


def _whole_way(flags: DemoArguments) -> tuple[dict[str, Any], str, Path]:
    from resect.cli.progress import bar
    from resect.cli.reporting import report_score
    from resect.data import load_split, make_split
    from resect.evaluation.predict import predict
    from resect.evaluation.score import score
    from resect.place import fit_place, open_place, place_digest
    from resect.scenes.field.settings import FieldSettings

    place, poses = flags.out / "place", flags.out / "poses.csv"
    photos = _photos(flags)
    split = make_split(photos, "every:8")
    say(f"learning the place from {len(split.train)} photos …")
    small = FieldSettings(resolutions=(64, 128), steps=(200, 500))  # over in a minute, on a slow machine too
    settings = governed(FieldSettings, small, flags.common)
    fit_place(photos, split, "field", settings, place, generator=generator(flags.common), stage=bar)
    say(f"finding {len(split.test)} held-out photos …")
    with bar("photos") as advance:
        where, held_out = open_place(place, seed=flags.common.seed), load_split(place / "split.json", photos)
        predict(
            where,
            photos,
            held_out,
            poses,
            settings=place_digest(place),
            progress=lambda d: advance(d.count, d.total, d.status),
        )
    found = score(poses, photos)
    report = report_score(poses, found, photos, place, flags.out / "report")
    return found.as_json(), found.text(), report


def _photos(flags: DemoArguments) -> "PhotoSet":
    """The capture of an earlier start, else a new one."""
    from resect.data import read
    from resect.data.synthetic import SyntheticSettings, make_capture

    capture, finished = flags.out / "capture", flags.out / "capture" / "transforms.json"
    if not finished.is_file():
        say("photographing the room …")
        shot = SyntheticSettings(path="orbit", seed=flags.common.seed)
        remove(capture)
        make_capture(replace(shot, photos=24, width=240, height=180) if flags.quick else shot, capture)
    return read(capture)


def _clear(out: Path) -> None:
    """Removes what an earlier demo wrote, and nothing else."""
    from resect.cli import demo_category, demo_object, demo_relocalize, demo_rotations

    made = (*demo_object.MADE, *demo_rotations.MADE, *demo_category.MADE, *demo_relocalize.MADE)
    for name in ("capture", "place", "poses.run", "report", *made):
        remove(out / name)
    for name in ("poses.csv", "demo.json", *demo_object.FILES):
        (out / name).unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """A folder that an earlier demo made; not one that a link leads to."""
    import shutil

    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
