"""`resect predict DATA --scene DIR --out poses.csv`: poses of the held-out photos, to a file."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from resect.cli.main import DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, at_least, parse, start
from resect.cli.output import result, say
from resect.errors import ResectError


@dataclass(frozen=True)
class PredictArguments:
    """Which photos, by which scene."""

    data: tyro.conf.Positional[Path]
    """Folder of posed photos; poses are not looked at."""
    scene: Path
    """Folder that 'resect fit' made; its split.json says what is held out."""
    out: Path
    """Pose file to write; the same command again resumes it."""
    poses: Path | None = None
    """List that names the photos of a 7-Scenes folder."""
    prior: tuple[str, ...] = ()
    """Guesses in the order to try them: landmarks, retrieval, view-sphere, or a folder of a fitted prior; by default
    those learned with the scene."""
    split: Literal["test", "train", "all"] = "test"
    """Which photos."""
    count: int = 64
    """Hypotheses to start from."""
    overwrite: bool = False
    """Start the file anew."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Predicts, with a progress bar; failed photos become rows without a pose."""
    description = "Poses of the held-out photos, to a file; the same command again goes on where it stopped."
    example = "resect predict PHOTOS --scene runs/place --out poses.csv"
    flags = parse(PredictArguments, arguments, prog="resect predict", description=description, example=example)
    at_least("--count", flags.count, 1)
    if flags.out.is_dir():
        raise ResectError("--out", "a file, e.g. poses.csv", f"the folder {flags.out}")
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data import read
    from resect.data.split import load_split
    from resect.evaluation.predict import predict
    from resect.place import open_place, place_digest

    photos = read(flags.data, poses=flags.poses)
    split = load_split(flags.scene / "split.json", photos)
    began = time.perf_counter()
    prior = flags.prior or None
    where = open_place(flags.scene, prior=prior, count=flags.count, seed=flags.common.seed)
    load_seconds = time.perf_counter() - began
    settings = {**place_digest(flags.scene, prior), "count": flags.count, "seed": flags.common.seed}
    with bar("photos") as advance:
        found = predict(
            where,
            photos,
            split,
            flags.out,
            settings=settings,
            which=flags.split,
            overwrite=flags.overwrite,
            load_seconds=load_seconds,
            progress=lambda done: advance(done.count, done.total, f"{done.photo} {done.status}"),
        )
    best = [row for row in found.rows if row.mode == 0]
    failed = sum(row.cam_from_world is None for row in best)
    say(f"{len(best)} photos, {failed} failed; now: resect score {flags.out} {flags.data} --scene {flags.scene}")
    result(flags.common, {"out": str(flags.out), "photos": len(best), "failed": failed}, str(flags.out))
    return SOME_FAILED if failed else DONE
