"""`resect predict DATA --scene DIR --out poses.csv`: poses of the held-out photos, to a file."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from resect.cli.knowledge import Sigma, lock_names, read_starts
from resect.cli.main import DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, at_least, parse, start
from resect.cli.output import result, say
from resect.errors import ResectError

if TYPE_CHECKING:
    from resect.localizer import Localizer
    from resect.types import Estimate, Hypotheses, Photo


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
    start: Path | None = None
    """Where to start, in place of a prior: a pose file with a row for each photo, or JSON with cam_from_world."""
    sigma: tuple[float, float] = (10.0, 0.1)
    """Standard deviations of --start where it has no covariances: degrees, and a part of the scene's scale."""
    lock: tuple[str, ...] = ()
    """What is kept exactly as in --start: rotation, translation, or any of vx vy vz wx wy wz, shifts along and turns
    about the axes of that camera (x right, y down, z forward)."""
    depth: bool = True
    """Use the depth of photos that come with it (RGB-D)."""
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
    if flags.start is not None and flags.prior:
        raise ResectError("--start", "one of --start and --prior", "both")
    locked = lock_names(flags.lock, anchored=flags.start is not None)
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data import read
    from resect.data.split import load_split
    from resect.evaluation.predict import predict
    from resect.place import open_place, place_digest

    photos = read(flags.data, poses=flags.poses)
    split = load_split(flags.scene / "split.json", photos)
    began = time.perf_counter()
    prior = () if flags.start else flags.prior or None
    seed = flags.common.seed
    where = open_place(flags.scene, prior=prior, count=flags.count, seed=seed, locked=locked, depth=flags.depth)
    load_seconds = time.perf_counter() - began
    settings = {**place_digest(flags.scene, prior), "count": flags.count, "seed": seed, "depth": flags.depth}
    starts = None
    if flags.start is not None:
        settings |= _start_digest(flags)
        half = {"test": split.test, "train": split.train}.get(flags.split, range(len(photos)))
        starts = _starts(flags, [photos.names[i] for i in half])
    with bar("photos") as advance:
        found = predict(
            where if starts is None else _Started(where, starts),
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


@dataclass(frozen=True, eq=False)
class _Started:
    """Answers each photo from its own start."""

    where: "Localizer"
    starts: "dict[str, Hypotheses]"

    def estimate(self, photo: "Photo") -> "Estimate":
        return self.where.estimate(photo, self.starts[photo.name])


def _starts(flags: PredictArguments, names: Sequence[str]) -> "dict[str, Hypotheses]":
    """A start for every photo of the half, or an error before the first is worked on."""
    from resect.place import read_place

    assert flags.start is not None
    start_of = read_starts(flags.start, Sigma(flags.sigma[0], flags.sigma[1] * read_place(flags.scene).scene_scale))
    return {name: start_of(name) for name in names}


def _start_digest(flags: PredictArguments) -> dict[str, Any]:
    assert flags.start is not None
    content = hashlib.sha256(flags.start.read_bytes()).hexdigest()
    return {"start": content, "sigma": list(flags.sigma), "lock": list(flags.lock)}
