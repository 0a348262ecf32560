"""From how far away is the pose found? The default refiner beside the ways it is made of and iNeRF's.

Specification, fixed before the first number was taken with it:

- Starts: `resect.evaluation.protocols.basin`, seed 0, 20 for each held-out photo of `places.py`, at three levels:
  [20°, 0.1], [40°, 0.2], [60°, 0.3] (angle uniform about a random axis through the camera's centre; then each
  coordinate of the centre uniform in ± that part of the scene's scale). The same starts for every refiner.
- "default": `resect.Inversion`. It is told how far off the starts may be, as `--prior given --sigma` tells it: standard
  deviations of the level's uniform distributions (A/3 a rotation axis, T/√3 a coordinate). Not so the others.
- "lm": Levenberg–Marquardt on colours, Cauchy 0.1: the 30-pixel photo and render blurred by 3, then 1.5 pixels (18
  steps in all, as the default refiner settles), then 20 steps on 512 fresh random pixels of the 120-pixel photo.
  "flow-pnp": three times render at 120 pixels, flow to the photo, PnP. Both are resect's own parts, alone.
- "adam": iNeRF's way on the same field, `refine.first_order.FirstOrderSettings()`: 300 steps of Adam, 2048 pixels each
  from interest regions of the 240-pixel photo, mean squared colour error, rate 0.01 · 0.8^(k/100). What differs from
  the published code: steps are twists in the camera's frame (theirs begins at a saddle), lengths are parts of the
  scene's scale, and derivatives are exact and come with the render.
- "lm", "flow-pnp" and "adam" give no status; every answer of theirs counts as a success.
- Columns: success within 5° / 0.05 of the scene's scale, and within 1° / 0.01; median errors; median rays of a trial;
  seconds (median wall clock; mean processor time beside it); success answers worse than their start and outside
  0.5° / 0.01; success answers outside 5° / 0.05; of the trials outside 5° / 0.05 the share with a failure status;
  answers that are the start itself. One photo a set is refined once before the clock starts.

    RESECT_TEST_DATA=DIR python benchmarks/basin.py [--sets fox] [--levels 20,40] [--starts 20] [--refiners default,lm]

An interrupted run goes on where it stopped, as long as the revision is the same and nothing is changed.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from record import CACHE, RESULTS, Stopwatch, revision, save, table, use_threads
from sets import REAL, open_set, place_of

from resect.evaluation.protocols.basin import LEVELS, BasinSettings, make_starts
from resect.evaluation.protocols.benchmark import run_benchmark
from resect.evaluation.protocols.trials import Refine
from resect.localizer import Localizer
from resect.place import open_place, read_place
from resect.refine.alone import Alone, Method
from resect.types import Estimate, Hypotheses, Photo, PhotoSet, Split

COLUMNS = {
    "set": "set", "refiner": "refiner", "level": "level", "trials": "trials", "success_5deg": "5°/.05",
    "success_1deg": "1°/.01", "median_rotation_deg": "median °", "median_translation_scale": "median scale",
    "median_rays": "rays", "seconds_per_trial": "s", "cpu_seconds": "cpu s", "worse_than_start": "worse",
    "accepted_wrong": "wrong ok", "wrong_with_failure_status": "wrong, said so", "start_share": "start share",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    sets: str = ",".join(REAL)
    """Names, separated by commas; "room" is synthetic."""
    levels: str = "20,40,60"
    """Greatest angles of the levels, separated by commas."""
    refiners: str = "default,lm,flow-pnp,adam"
    """Which, separated by commas."""
    starts: int = 20
    """For each photo."""
    seed: int = 0
    """Of fitting and of the starts."""
    adam_steps: int = 300
    """Steps of "adam"; fewer only to see whether the script runs."""
    cache: Path = CACHE
    """Folder of fitted places and of finished trials."""
    out: Path | None = RESULTS / "basin.json"
    """JSON file to write."""
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    quick: bool = False
    """Small captures and fields, to see whether the script runs."""


@dataclass
class Counted:
    """A refiner that notes processor seconds."""

    refine: Refine
    cpu: list[float] = field(default_factory=list)

    def __call__(self, photo: Photo, start: Hypotheses) -> Estimate:
        with Stopwatch() as spent:
            answer = self.refine(photo, start)
        self.cpu.append(spent.cpu)
        return answer


def told(start: Hypotheses, level: BasinSettings, scale: float) -> Hypotheses:
    """The start with the information that its distribution amounts to."""
    turn, shift = math.radians(level.rotation_deg) / 3, level.translation * scale / math.sqrt(3)
    diagonal = torch.tensor([shift**-2] * 3 + [turn**-2] * 3, dtype=torch.float64)
    return replace(start, information=torch.diag(diagonal).expand(len(start), 6, 6))


def refiners(folder: Path, level: BasinSettings, arguments: Arguments) -> dict[str, Counted]:
    """Name → photo and start → answer."""
    where, scale = open_place(folder, prior=(), seed=arguments.seed), read_place(folder).scene_scale
    single: dict[Method, Alone] = {
        "lm": Alone("lm", length=scale),
        "flow-pnp": Alone("flow-pnp", length=scale),
        "adam": Alone("adam", arguments.adam_steps, length=scale),
    }
    known: dict[str, Refine] = {
        name: Localizer(where.scene, refiner=refiner, camera=where.camera).estimate for name, refiner in single.items()
    }
    known["default"] = lambda photo, start: where.estimate(photo, told(start, level, scale))
    return {name: Counted(known[name]) for name in arguments.refiners.split(",")}


def run_level(
    name: str, photos: PhotoSet, split: Split, folder: Path, level: BasinSettings, arguments: Arguments
) -> list[dict[str, Any]]:
    """One row a refiner."""
    methods = refiners(folder, level, arguments)
    first = make_starts(photos, split, replace(level, starts=1))[0]
    for method in methods.values():
        method(photos[first.photo], first.hypotheses())
        method.cpu.clear()
    out = folder / f"basin-{revision()}" / f"{level.rotation_deg:g}deg-{level.starts}starts-{arguments.adam_steps}adam"
    found = run_benchmark("basin", photos, split, methods, level, out=out, overwrite=revision().endswith("+"))
    rows = []
    for trials, method in zip(found, methods.values(), strict=True):
        facts = trials.as_json()
        recall, complete = facts.pop("recall"), len(method.cpu) == facts["trials"]
        row = {"set": name, "level": f"[{level.rotation_deg:g}°, {level.translation:g}]", **facts}
        row |= {"success_5deg": recall["5deg_0.05scale"], "success_1deg": recall["1deg_0.01scale"]}
        row |= {"cpu_seconds": sum(method.cpu) / len(method.cpu) if complete else None}
        rows.append(row | {"start_share": facts["start_returned"] / facts["trials"]})
        print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
    return rows


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    angles = [float(a) for a in arguments.levels.split(",")]
    levels = [replace(x, starts=arguments.starts, seed=arguments.seed) for x in LEVELS if x.rotation_deg in angles]
    rows: list[dict[str, Any]] = []
    for name in arguments.sets.split(","):
        photos, split = open_set(name, quick=arguments.quick)
        folder, _ = place_of(name, photos, split, arguments.cache, seed=arguments.seed, quick=arguments.quick)
        for level in levels:
            rows += run_level(name, photos, split, folder, level, arguments)
    print(table(rows, COLUMNS))
    save(arguments.out, "basin", arguments, rows)
    return rows


if __name__ == "__main__":
    main()
