"""COLMAP's three stages with progress, a seed and an ear for Ctrl-C: features, matching, incremental mapping."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    import pycolmap

Progress = Callable[[str, float], None]
T = TypeVar("T")
_OVERLAP = 10


@dataclass(frozen=True, eq=False)
class ColmapRun:
    """One reconstruction.

    Attributes:
        images: folder of upright photos.
        work: folder for the database and the models.
        names: the photos.
        in_order: whether each photo is matched with those near it in name order only.
        one_camera: whether all photos share their intrinsics.
        lens: COLMAP camera model.
        max_side: features are found at most at this size, pixels.
        max_features: of each photo.
        threads: processor threads; 0 takes all.
        seed: of everything random.
        progress: called with a stage and the share of it that is done.
        seconds: filled in by stage.
    """

    images: Path
    work: Path
    names: tuple[str, ...]
    in_order: bool
    one_camera: bool
    lens: str
    max_side: int
    max_features: int
    threads: int
    seed: int
    progress: Progress
    seconds: dict[str, float]


def reconstruct(run: ColmapRun) -> "list[pycolmap.Reconstruction]":
    """The connected groups of photos that could be posed."""
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.ERROR.value)
    pycolmap.set_random_seed(run.seed)
    cancel = pycolmap.CancellationToken()
    _find_features(run, cancel)
    _match(run, cancel)
    return _map(run, cancel)


def _find_features(run: ColmapRun, cancel: Any) -> None:
    import pycolmap

    mode = pycolmap.CameraMode.SINGLE if run.one_camera else pycolmap.CameraMode.AUTO
    options = pycolmap.FeatureExtractionOptions(
        max_image_size=run.max_side, num_threads=run.threads or -1, sift={"max_num_features": run.max_features}
    )

    def call() -> None:
        pycolmap.extract_features(
            run.work / "database.db",
            run.images,
            camera_mode=mode,
            reader_options=pycolmap.ImageReaderOptions(camera_model=run.lens),
            extraction_options=options,
            device=pycolmap.Device.cpu,
            cancellation_token=cancel,
        )

    _stage(run, "features", call, cancel, "descriptors", len(run.names))


def _match(run: ColmapRun, cancel: Any) -> None:
    import pycolmap

    matcher = pycolmap.match_sequential if run.in_order else pycolmap.match_exhaustive
    count = len(run.names)

    def call() -> None:
        matcher(
            run.work / "database.db",
            matching_options=pycolmap.FeatureMatchingOptions(num_threads=run.threads or -1),
            verification_options=pycolmap.TwoViewGeometryOptions(ransac={"random_seed": run.seed}),
            device=pycolmap.Device.cpu,
            cancellation_token=cancel,
        )

    pairs = count * (_OVERLAP if run.in_order else (count - 1) / 2)
    _stage(run, "matching", call, cancel, "two_view_geometries", pairs)


def _map(run: ColmapRun, cancel: Any) -> "list[pycolmap.Reconstruction]":
    import pycolmap

    options = pycolmap.IncrementalPipelineOptions(num_threads=run.threads or -1, random_seed=run.seed, min_model_size=3)
    registered = [2]

    def count() -> None:
        registered[0] += 1
        run.progress("mapping", min(1.0, registered[0] / len(run.names)))

    def call() -> "dict[int, pycolmap.Reconstruction]":
        return pycolmap.incremental_mapping(
            run.work / "database.db",
            run.images,
            run.work,
            options=options,
            next_image_callback=count,
            cancellation_token=cancel,
        )

    return list(_stage(run, "mapping", call, cancel).values())


def _stage(
    run: ColmapRun, name: str, call: Callable[[], T], cancel: Any, table: str | None = None, total: float = 1
) -> T:
    """Runs one stage; its progress is the number of rows in a table of COLMAP's database."""

    def tick() -> None:
        if table is not None:
            run.progress(name, min(1.0, _rows(run.work / "database.db", table) / total))

    run.progress(name, 0.0)
    start = time.perf_counter()
    result = _interruptible(call, cancel, tick)
    run.seconds[name] = round(time.perf_counter() - start, 2)
    return result


def _rows(database: Path, table: str) -> int:
    """How far COLMAP has come: rows in its database, which it keeps readable while it writes."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=0.05)) as connection:
            return int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
    except sqlite3.Error:
        return 0


def _interruptible(call: Callable[[], T], cancel: Any, tick: Callable[[], None]) -> T:
    """Runs native code in a thread, so that Ctrl-C is heard at once; then waits for the code to stop."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            failure.append(error)

    worker = threading.Thread(target=body, daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            worker.join(0.5)
            tick()
    except KeyboardInterrupt:
        cancel.cancel()
        worker.join(30)
        raise
    if failure:
        raise failure[0]
    return outcome[0]
