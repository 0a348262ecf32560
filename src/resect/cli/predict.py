"""`resect predict DATA --scene DIR --out poses.csv`: poses of the held-out photos, or of known objects, to a file."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from resect.cli.estimate_category import with_category
from resect.cli.knowledge import Sigma, lock_names, read_starts
from resect.cli.latent_ways import with_neighbours
from resect.cli.main import DONE, SOME_FAILED
from resect.cli.options import COMMON, CommonFlags, at_least, parse_with_several, start
from resect.cli.output import result, say
from resect.cli.several import place_folder
from resect.errors import ResectError
from resect.refine.category.settings import CategorySettings
from resect.refine.neighbour_settings import NeighbourSettings

if TYPE_CHECKING:
    from resect.localizer import Localizer
    from resect.types import Estimate, Hypotheses, Photo


@dataclass(frozen=True)
class PredictArguments:
    """Which photos, by which scene."""

    data: tyro.conf.Positional[Path]
    """Folder of posed photos, or a BOP dataset of known objects; poses are not looked at."""
    out: Path
    """Pose file to write; for known objects BOP results, METHOD_DATASET-SPLIT.csv. The same command again resumes."""
    scene: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Folder that 'resect fit' made, DIR:NAME for one of several places that it knows; its split.json says what is held
    out. For known objects their meshes: a folder of models, a mesh, or ID=MESH, again for more."""
    pointed: Annotated[Literal["box", "mask"], tyro.conf.arg(name="from")] = "box"
    """Where known objects are looked for: the visible boxes or masks of the dataset."""
    poses: Path | None = None
    """List that names the photos of a 7-Scenes folder."""
    prior: tuple[str, ...] = ()
    """Guesses in the order to try them: landmarks, retrieval, view-sphere, or a folder of a fitted prior; by default
    those learned with the scene. For a category: view-grid, folders of image2sphere or ipdf."""
    start: Path | None = None
    """Where to start, in place of a prior: a pose file with a row for each photo, or JSON with cam_from_world; for
    known objects BOP results, of anyone."""
    sigma: tuple[float, float] = (10.0, 0.1)
    """Standard deviations of --start where it has no covariances: degrees, and a part of the scene's scale."""
    lock: tuple[str, ...] = ()
    """What is kept exactly as in --start: rotation, translation, or any of vx vy vz wx wy wz, shifts along and turns
    about the axes of that camera (x right, y down, z forward)."""
    refiner: Literal["default", "neighbours"] = "default"
    """How poses are refined; "neighbours" combines training poses, by a pose decoder as --scene, with the settings
    --neighbours.*. A category is refined with the settings --category.*"""
    depth: bool = True
    """Depth that comes with photos (RGB-D) counts; --no-depth leaves it out."""
    split: Literal["test", "train", "all"] = "test"
    """Which photos."""
    count: int | None = None
    """Hypotheses to start from; by default 64, and 4000 rotations for an object."""
    overwrite: bool = False
    """Start the file anew."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Predicts, with a progress bar; failed photos become rows without a pose."""
    description = "Poses of the held-out photos, to a file; the same command again goes on where it stopped."
    example = "resect predict PHOTOS --scene runs/place --out poses.csv"
    told = {"prog": "resect predict", "description": description, "example": example}
    kinds = {"neighbours": NeighbourSettings, "category": CategorySettings}
    flags, chosen = parse_with_several(PredictArguments, kinds, arguments, **told)
    _check(flags)
    if _of_objects(flags):
        from resect.cli.predict_objects import run_objects

        return run_objects(flags)
    flags = replace(flags, scene=(str(place_folder("--scene", flags.scene[0], one=True)),))
    scene = Path(flags.scene[0])
    locked = lock_names(flags.lock, anchored=flags.start is not None)
    start(flags.common)
    from resect.cli.progress import bar
    from resect.data import read
    from resect.data.split import load_split
    from resect.evaluation.predict import predict
    from resect.place import open_place, place_digest
    from resect.types import Split

    photos = read(flags.data, poses=flags.poses)
    given = (scene / "split.json").is_file() or photos.format != "srn"
    split = load_split(scene / "split.json", photos) if given else Split((), tuple(range(len(photos))), "none")
    began = time.perf_counter()
    prior = () if flags.start else flags.prior or None
    seed, count = flags.common.seed, flags.count or 64
    where = open_place(scene, prior=prior, count=count, seed=seed, locked=locked, depth=flags.depth)
    where, refinement = _refined(where, flags, chosen)
    load_seconds = time.perf_counter() - began
    settings = {**place_digest(scene, prior), "count": count, "seed": seed, "depth": flags.depth, **refinement}
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
    say(f"{len(best)} photos, {failed} failed; now: resect score {flags.out} {flags.data} --scene {scene}")
    result(flags.common, {"out": str(flags.out), "photos": len(best), "failed": failed}, str(flags.out))
    return SOME_FAILED if failed else DONE


def _check(flags: PredictArguments) -> None:
    """Errors before any work."""
    at_least("--count", 1 if flags.count is None else flags.count, 1)
    if not flags.scene:
        raise ResectError("--scene", "a scene", "none", "Give the folder that 'resect fit' made, or meshes of objects.")
    if flags.out.is_dir():
        raise ResectError("--out", "a file, e.g. poses.csv", f"the folder {flags.out}")
    if flags.start is not None and flags.prior:
        raise ResectError("--start", "one of --start and --prior", "both")


def _refined(
    where: "Localizer", flags: PredictArguments, chosen: Mapping[str, Any]
) -> tuple["Localizer", dict[str, Any]]:
    """The localizer with the refiner that is asked for, and what its answers depend on."""
    from resect.category import is_category

    folder, category = Path(flags.scene[0]), chosen["category"]
    if is_category(where.scene):
        return with_category(where, category), {"category": asdict(category)}
    if category != CategorySettings():
        fix = "Those settings are of folders that 'resect fit sigma-srn' made."
        raise ResectError("--category", "a category as --scene", f"the place {folder}", fix)
    if flags.refiner != "neighbours":
        return where, {}
    settings = chosen["neighbours"]
    return with_neighbours(where, folder, settings, flags.common.seed), {"neighbours": asdict(settings)}


def _of_objects(flags: PredictArguments) -> bool:
    from resect.data.model_files import is_models

    return len(flags.scene) > 1 or "=" in flags.scene[0] or is_models(Path(flags.scene[0]))


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
    start_of = read_starts(
        flags.start, Sigma(flags.sigma[0], flags.sigma[1] * read_place(Path(flags.scene[0])).scene_scale)
    )
    return {name: start_of(name) for name in names}


def _start_digest(flags: PredictArguments) -> dict[str, Any]:
    assert flags.start is not None
    content = hashlib.sha256(flags.start.read_bytes()).hexdigest()
    return {"start": content, "sigma": list(flags.sigma), "lock": list(flags.lock)}
