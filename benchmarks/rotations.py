"""Distributions over rotations of symmetric solids, learned and scored on a CPU.

Specification, fixed before the first number was taken with it. The pictures': docs/decisions/symmetric-solids.md; 64
× 64 pixels, set I (tetrahedron, cube, icosahedron, cone, cylinder), one network for all five, which is not told the
shape.

- To learn from: the training stream (seed 0), 100 000 images a shape at most, drawn as they are needed; every setting
  of `Image2SphereSettings` and `ImplicitPdfSettings` as it stands, but `equivalents`: "equivalent" draws one of the
  known equivalent rotations at each look, "single" learns the one that was drawn. Both are published, seldom named.
- `--steps` of the optimiser, by default the preset's; a shorter run's row says so.
- To report: the first 40 test images (seed 1) of each shape. Log-likelihood in the π² measure (uniform: −2.29),
  averaged over all equivalents of an image and over images, at level 5 of the grid, beside its ceiling; the median of
  the error to the nearest equivalent (mean of the shapes' medians); the mean angle to the nearest equivalent
  ("spread").
- Nothing was chosen on test images: settings were chosen by the log-likelihood on the validation stream (seed 2).
- Medians of three training seeds with the range, unless `--seeds` names fewer. Seconds are processor and wall seconds
  of training.
- "uniform" is −2.29 by definition and needs no row.

    python benchmarks/rotations.py [--cache runs/benchmarks/rotations]      # makes what is missing
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
import tyro
from record import CACHE, RESULTS, Stopwatch, save, table, use_threads

from resect.artifact import write_json
from resect.evaluation.rotation_score import score_rotations
from resect.priors.image2sphere.settings import Image2SphereSettings
from resect.priors.ipdf.settings import ImplicitPdfSettings
from resect.synthesis.symsol.make import SEEDS, SolidSettings, make_solids
from resect.zoo import ZOO, resolve

TRAIN, TEST, SIDE = 100_000, 40, 64
SETTINGS = {"image2sphere": Image2SphereSettings, "ipdf": ImplicitPdfSettings}
COLUMNS = {
    "method": "method",
    "labels": "labels",
    "steps": "steps",
    "log_likelihood": "log-lik.",
    "range": "range",
    "ceiling": "ceiling",
    "reduced_median_deg": "median°",
    "spread_deg": "spread°",
    "cpu_seconds": "cpu s",
    "wall_seconds": "wall s",
}


@dataclass(frozen=True)
class Arguments:
    """What is run, and where things are kept."""

    methods: tuple[Literal["image2sphere", "ipdf"], ...] = ("image2sphere", "ipdf")
    """Which networks."""
    labels: tuple[Literal["equivalent", "single"], ...] = ("equivalent", "single")
    """What they are told."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of training."""
    steps: int | None = None
    """Of training, in place of the preset's."""
    level: int = 5
    """Of the grid that is reported on."""
    cache: Path = CACHE / "rotations"
    """Networks."""
    device: str = "cpu"
    """What trains and answers."""
    threads: int = 0
    """0 takes all cores."""
    out: Path | None = RESULTS / "rotations.json"
    """JSON to write."""
    quick: bool = False
    """A few steps, a few images: does the script run?"""


def learned(method: str, labels: str, seed: int, a: Arguments) -> tuple[Any, dict[str, float]]:
    """A network, from the cache or trained now, and the seconds that training took; resumes what was interrupted."""
    folder = a.cache / f"{method}-{labels}-{seed}-{3 if a.quick else a.steps or 'preset'}"
    load, times = resolve(ZOO[method].load), folder / "seconds.json"
    if not times.is_file():
        data = make_solids(SolidSettings(images=TRAIN, side=SIDE, seed=SEEDS["train"]))
        settings = SETTINGS[method](seed=seed, equivalents="random" if labels == "equivalent" else "one")
        steps = 3 if a.quick else a.steps or settings.steps
        batch = 2 if a.quick else settings.batch
        settings = replace(settings, steps=steps, batch=batch, tensorboard=False, device=a.device)
        with Stopwatch() as watch:
            resolve(ZOO[method].fit)(data, settings, out=folder, resume=True, progress=_said(folder.name))
        write_json(times, {"cpu_seconds": watch.cpu, "wall_seconds": watch.wall})
    return load(folder, a.device), json.loads(times.read_text())


def _said(name: str) -> Any:
    def progress(done: int, of: int, remark: str) -> None:
        if done % 250 == 0 or done == of:
            print(f"{name} {done}/{of} {remark}", flush=True)

    return progress


def row(method: str, labels: str, a: Arguments) -> dict[str, Any]:
    """Medians over seeds."""
    test = make_solids(SolidSettings(images=1 if a.quick else TEST, side=SIDE, seed=SEEDS["test"]))
    found: list[Mapping[str, Any]] = []
    for seed in a.seeds:
        prior, seconds = learned(method, labels, seed, a)
        scored = score_rotations(prior, test, level=a.level).as_json()
        found.append({**scored, **seconds, "seed": seed})
        print(f"{method} {labels} seed {seed}: {scored['log_likelihood']:.3f}", flush=True)
    middle = {
        key: median(f[key] for f in found)
        for key in ("log_likelihood", "ceiling", "reduced_median_deg", "spread_deg", "cpu_seconds", "wall_seconds")
    }
    values = [f["log_likelihood"] for f in found]
    spread = f"{min(values):.2f} … {max(values):.2f}" if len(values) > 1 else None
    return {"method": method, "labels": labels, "steps": a.steps, **middle, "range": spread, "seeds": found}


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    a = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(a.threads)
    torch.manual_seed(0)
    rows = [row(method, labels, a) for method in a.methods for labels in a.labels]
    print(table(rows, COLUMNS))
    save(a.out, "rotations of symmetric solids, 64 px", a, rows)
    return rows


if __name__ == "__main__":
    main()
