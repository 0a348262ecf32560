"""Where the time of one photo goes, warm: milliseconds by stage, and the functions that take most.

Specification, fixed before the first number was taken with it:

- The held-out photos of a set through a pipeline of `places.py`, `--repeats` times after a warm-up (two training photos
  from each guess). Stages are those of `Estimate.cost.ms`; of each stage the median over photos and repeats, a photo
  that did not go through it counting as 0 (so medians need not add up); means beside it, which do. "decode" is reading
  and decoding the file, "elsewhere" what is in no stage.
- Then once more under cProfile: own time by function, per photo. cProfile slows Python code down, so these are shares.

    RESECT_TEST_DATA=DIR python benchmarks/stages.py [--set fox] [--pipeline default] [--repeats 3]
"""

import cProfile
import pstats
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import tyro
from record import CACHE, RESULTS, Stopwatch, save, table, use_threads
from sets import Timed, open_pipeline, open_set, place_of

from resect.types import Photo

STAGES = {"stage": "stage", "median_ms": "median ms", "mean_ms": "mean ms", "share": "share"}
FUNCTIONS = {
    "function": "function",
    "where": "where",
    "calls": "calls",
    "own_ms": "own ms",
    "with_ms": "with what it calls",
}


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    set: str = "fox"
    """Which photos; "room" is synthetic."""
    pipeline: str = "default"
    """See `places.py`."""
    repeats: int = 3
    """How often each photo is answered."""
    functions: int = 20
    """How many functions of the profile to show."""
    seed: int = 0
    """Of fitting and estimating."""
    cache: Path = CACHE
    """Folder of fitted places, used again."""
    out: Path | None = RESULTS / "stages.json"
    """JSON file to write."""
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    quick: bool = False
    """Small captures and fields, to see whether the script runs."""


def stages_of(where: Timed, photos: Sequence[Photo], repeats: int) -> list[dict[str, float]]:
    """Milliseconds by stage of every answer."""
    found = []
    for _ in range(repeats):
        for photo in photos:
            stages: dict[str, float] = {}
            for name, ms in where.estimate(photo).cost.ms:
                stages[name] = stages.get(name, 0.0) + ms
            found.append({**stages, "elsewhere": 1000 * where.wall[-1] - sum(stages.values())})
    return found


def stage_rows(found: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
    """Stages in the order they run, then all together."""
    longest = sorted(found, key=len, reverse=True)
    names = dict.fromkeys(name for stages in longest for name in stages if name != "elsewhere")
    totals = [sum(stages.values()) for stages in found]
    rows = []
    for name, values in [*((n, [s.get(n, 0.0) for s in found]) for n in [*names, "elsewhere"]), ("all", totals)]:
        share = fmean(values) / fmean(totals)
        rows.append({"stage": name, "median_ms": median(values), "mean_ms": fmean(values), "share": share})
    return rows


def profile_rows(where: Timed, photos: Sequence[Photo], count: int) -> list[dict[str, Any]]:
    """The functions with most own time, per photo."""
    profile = cProfile.Profile()
    profile.enable()
    for photo in photos:
        where.estimate(photo)
    profile.disable()
    stats: Any = pstats.Stats(profile)
    rows = []
    for (file, line, name), (_, calls, own, with_, _) in stats.stats.items():
        place = f"{'/'.join(Path(file).parts[-2:])}:{line}" if line else "built in"
        row = {"function": name[-60:], "where": place, "calls": calls / len(photos)}
        rows.append(row | {"own_ms": 1000 * own / len(photos), "with_ms": 1000 * with_ / len(photos)})
    return sorted(rows, key=lambda row: -row["own_ms"])[:count]


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    data, split = open_set(arguments.set, quick=arguments.quick)
    folder, _ = place_of(arguments.set, data, split, arguments.cache, seed=arguments.seed, quick=arguments.quick)
    where = Timed(open_pipeline(folder, arguments.pipeline, seed=arguments.seed))
    where.warm_up(data, split.train[:2])
    with Stopwatch() as decoding:
        photos = [data[i] for i in split.test]
    decode = 1000 * decoding.wall / len(photos)
    rows = stage_rows(stages_of(where, photos, arguments.repeats))
    functions = profile_rows(where, photos, arguments.functions)
    print(
        table(rows, STAGES),
        f"decode, before the clock starts: {decode:.0f} ms",
        table(functions, FUNCTIONS),
        sep="\n\n",
    )
    facts = {"photos": len(photos), "decode_ms": decode, "functions": functions}
    save(arguments.out, "stages", arguments, rows, **facts)
    return rows


if __name__ == "__main__":
    main()
