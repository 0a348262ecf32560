"""Photos never seen, no start given: how many are found, how exactly, how fast, by each way of guessing.

Specification, fixed before the first number was taken with it:

- Sets and held-out photos: fox `every:8` (7), fern `every:8` (3), lego: its val photos (10), learned from its 70 train
  photos, kitchen `blocks:20:4` (40, SfM poses). A place is fitted once a seed with default settings; see `sets.py`.
- Rows: "default", landmarks, then retrieval where that fails, and the default refiner; "retrieval" and "view-sphere",
  the same refiner without any feature matching to training photos; "landmarks-alone", no scene at all. "classical" is
  copied from `results/classical.json` (OpenCV: SIFT, brute force, PnP; another process on the same machine).
- Every held-out photo counts; one without an answer has infinite error and stands in medians and shares as such.
  Errors: geodesic angle, distance of camera centres over the scene's scale. Solved: both below 5° and 0.05, 1° and
  0.02, 0.5° and 0.01. "wrong": a success status outside 5° / 0.05. "start": answers that are the start itself.
- Seconds: decoded photo to answer, median over the held-out photos, after a warm-up (two training photos from each
  guess of the pipeline); processor seconds beside it. The camera is the data's own. The seed is that of fitting and
  of every random number afterwards.

    RESECT_TEST_DATA=DIR python benchmarks/places.py [--sets fox,lego] [--pipelines default,retrieval] [--seeds 0,1,2]
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median as middle
from typing import Any

import tyro
from record import CACHE, RESULTS, save, table, use_threads
from sets import PIPELINES, REAL, Timed, open_pipeline, open_set, place_of

from resect.evaluation.predict import predict
from resect.evaluation.score import Score, score
from resect.metrics.pose import median
from resect.types import PhotoSet, Split

COLUMNS = {
    "set": "set", "pipeline": "pipeline", "seed": "seed", "photos": "photos", "solved_5deg_0.05": "5°/.05",
    "solved_1deg_0.02": "1°/.02", "solved_0.5deg_0.01": "0.5°/.01", "median_deg": "median °",
    "median_scale": "median scale", "failed": "failed", "accepted_wrong": "wrong", "start_returned": "start",
    "seconds": "s", "cpu_seconds": "cpu s", "prior": "answered from",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    sets: str = ",".join(REAL)
    """Names, separated by commas; "room" is synthetic."""
    pipelines: str = ",".join(PIPELINES)
    """Rows, separated by commas."""
    seeds: str = "0"
    """Seeds, separated by commas; one place each."""
    cache: Path = CACHE
    """Folder of fitted places, used again."""
    out: Path | None = RESULTS / "places.json"
    """JSON file to write."""
    classical: Path = RESULTS / "classical.json"
    """Figures of the classical baseline, shown where there are any."""
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    quick: bool = False
    """Small captures and fields, to see whether the script runs."""


def measure(photos: PhotoSet, split: Split, folder: Path, pipeline: str, seed: int) -> tuple[Score, dict[str, Any]]:
    """One row: the held-out photos of one place through one pipeline."""
    where = Timed(open_pipeline(folder, pipeline, seed=seed))
    where.warm_up(photos, split.train[:2])
    out = folder / "predictions" / f"{pipeline}.csv"
    predict(where, photos, split, out, overwrite=True, settings={"pipeline": pipeline, "seed": seed})
    found = score(out, photos)
    return found, {**errors_of(found), "seconds": middle(where.wall), "cpu_seconds": middle(where.cpu)}


def errors_of(found: Score) -> dict[str, Any]:
    """The columns that come from errors and statuses."""
    rotation, translation = found.rotation_deg, found.translation / found.scene_scale

    def within(degrees: float, scale: float) -> int:
        return int(((rotation < degrees) & (translation < scale)).sum())

    return {
        "photos": len(found.photos),
        "solved_5deg_0.05": within(5, 0.05),
        "solved_1deg_0.02": within(1, 0.02),
        "solved_0.5deg_0.01": within(0.5, 0.01),
        "median_deg": median(rotation),
        "median_scale": median(translation),
        "failed": found.failed,
        "accepted_wrong": found.accepted_wrong,
        "start_returned": sum(p.status == "NOT_IMPROVED" for p in found.photos),
        "status": dict(Counter(p.status for p in found.photos)),
        "prior": dict(found.prior or {}),
    }


def classical_row(path: Path, name: str) -> list[dict[str, Any]]:
    """The baseline's figures for a set, in our columns."""
    known = json.loads(path.read_text())["sets"] if path.is_file() else []
    names = {
        "photos": "photos", "failed": "failed", "within_5deg_0.05scale": "solved_5deg_0.05",
        "within_0.5deg_0.01scale": "solved_0.5deg_0.01", "median_rotation_deg": "median_deg",
        "median_translation_scale": "median_scale", "seconds_per_photo": "seconds",
        "cpu_seconds_per_photo": "cpu_seconds",
    }  # fmt: skip
    rows = [row for row in known if row["set"] == name]
    return [
        {"set": name, "pipeline": "classical", **{names[k]: v for k, v in row.items() if k in names}} for row in rows
    ]


def over_seeds(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each set and pipeline with several seeds: median and range of what matters."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["set"], row["pipeline"]), []).append(row)
    keys = ("solved_5deg_0.05", "solved_0.5deg_0.01", "median_deg", "median_scale", "seconds")
    return [
        {"set": name, "pipeline": pipeline, "seeds": len(group)}
        | {k: [middle(v := [row[k] for row in group]), min(v), max(v)] for k in keys}
        for (name, pipeline), group in groups.items()
        if len(group) > 1
    ]


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    rows: list[dict[str, Any]] = []
    for name in arguments.sets.split(","):
        photos, split = open_set(name, quick=arguments.quick)
        for seed in map(int, arguments.seeds.split(",")):
            folder, made = place_of(name, photos, split, arguments.cache, seed=seed, quick=arguments.quick)
            for pipeline in arguments.pipelines.split(","):
                _, row = measure(photos, split, folder, pipeline, seed)
                rows.append({"set": name, "pipeline": pipeline, "seed": seed, **row, "place": made["revision"]})
                print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
        rows += classical_row(arguments.classical, name)
    print(table(rows, COLUMNS))
    save(arguments.out, "places", arguments, rows, over_seeds=over_seeds(rows))
    return rows


if __name__ == "__main__":
    main()
