"""`resect demo`: the whole way on a synthetic capture. Photograph, fit, predict, score, report."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resect.cli.main import DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, generator, parse, refuse_overwrite, result, say, start


@dataclass(frozen=True)
class DemoArguments:
    """Where to, and how thorough."""

    out: Path = Path("runs/demo")
    """Folder to make."""
    quick: bool = False
    """Fewer and smaller photos, for a first look."""
    overwrite: bool = False
    """Start anew over an earlier demo."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Photographs the built-in room and finds where the held-out photos were taken from."""
    flags = parse(DemoArguments, arguments, prog="resect demo", description="The whole way on built-in data.")
    refuse_overwrite(flags.out, flags.overwrite)
    start(flags.common)
    if flags.overwrite:
        _clear(flags.out)
    began = time.perf_counter()
    score, report = _whole_way(flags)
    seconds = time.perf_counter() - began
    facts: dict[str, Any] = {**score.as_json(), "demo_seconds": round(seconds, 1), "report": str(report)}
    result(flags.common, facts, f"{score.text()}\n\nin {seconds:.0f} s; open {report}")
    return SOME_FAILED if facts["failed"] else DONE


def _whole_way(flags: DemoArguments) -> tuple[Any, Path]:
    from resect.cli.progress import bar
    from resect.cli.reporting import report_score
    from resect.data import load_split, make_split, read
    from resect.data.synthetic import SyntheticSettings, make_capture
    from resect.evaluation.predict import predict
    from resect.evaluation.score import score
    from resect.place import fit_place, open_place
    from resect.scenes.field.settings import FieldSettings

    capture, place, poses = flags.out / "capture", flags.out / "place", flags.out / "poses.csv"
    shot = SyntheticSettings(path="orbit", seed=flags.common.seed)
    if flags.quick:
        shot = replace(shot, photos=24, width=240, height=180)
    say("photographing the room …")
    make_capture(shot, capture)
    photos = read(capture)
    split = make_split(photos, "every:8")
    say(f"learning the place from {len(split.train)} photos …")
    fit_place(photos, split, "field", FieldSettings(), place, generator=generator(flags.common), stage=bar)
    say(f"finding {len(split.test)} held-out photos …")
    with bar("photos") as advance:
        where, held_out = open_place(place), load_split(place / "split.json", photos)
        predict(where, photos, held_out, poses, progress=lambda d: advance(d.count, d.total, d.status))
    found = score(poses, photos)
    return found, report_score(poses, found, photos, place, flags.out / "report")


def _clear(out: Path) -> None:
    """Removes what an earlier demo wrote, and nothing else."""
    import shutil

    for name in ("capture", "place", "poses.run", "report"):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / "poses.csv").unlink(missing_ok=True)
