"""Distributions over rotations of symmetric solids, learned and scored.

Specification, fixed before the first number was taken with it. The pictures': docs/decisions/symmetric-solids.md. Set I
is tetrahedron, cube, icosahedron, cone, cylinder; set II the marked ones (`tetX`, `cylO`, `sphereX`). One network for
all shapes of a set, which is not told the shape; published networks for set II are one a shape.

- `--preset`: "cpu" is 64 × 64 pixels and every setting of `Image2SphereSettings` and `ImplicitPdfSettings` as it
  stands; "gpu" is 96 × 96 pixels and a ResNet-18 of full width, as `PRESETS` says. `equivalents`: "equivalent" draws
  one of the known equivalent rotations at each look, "single" learns the one that was drawn. Both are published,
  seldom named.
- To learn from: the training stream (seed 0), 100 000 images a shape at most (gpu: 400 000), drawn as they are needed.
- `--steps` of the optimiser, by default the preset's; a row says how many.
- To report: the first 40 test images (seed 1) of each shape. Log-likelihood in the π² measure (uniform: −2.29),
  averaged over all equivalents of an image and over images, at level 5 of the grid, beside its ceiling; the median of
  the error to the nearest equivalent (mean of the shapes' medians); the mean angle to the nearest equivalent
  ("spread").
- Regions: the share of labels in the smallest region that claims half of the probability, and nine tenths. Densities
  have the temperature that `priors/rotations/temperature` fits to the first 20 validation images (seed 2) of a shape.
- Nothing was chosen on test images: settings were chosen by the log-likelihood on the validation stream.
- Medians of the training seeds that `--seeds` names, three by default, with the range. Seconds are processor and wall
  seconds of training.
- "uniform" is −2.29 by definition and needs no row.

    python benchmarks/rotations.py [--preset cpu] [--sets I II]      # makes what is missing in --cache
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
import tyro
from record import CACHE, RESULTS, Stopwatch, save, table, told, use_threads

from resect.artifact import write_json
from resect.evaluation.rotation_score import score_rotations
from resect.priors.image2sphere.settings import Image2SphereSettings
from resect.priors.ipdf.settings import ImplicitPdfSettings
from resect.priors.rotations.prior import RotationPrior
from resect.priors.rotations.settings import RotationSettings
from resect.priors.rotations.temperature import calibrated
from resect.synthesis.symsol.make import SEEDS, SolidSettings, make_solids
from resect.synthesis.symsol.shapes import MARKED, PLAIN
from resect.zoo import ZOO, resolve

TEST, VAL = 40, 20
TRAIN = {"cpu": 100_000, "gpu": 400_000}
SETS = {"I": PLAIN, "II": MARKED}
_LARGE: dict[str, Any] = {"encoder_width": 64, "side": 96, "warmup": 500, "ahead": 2}
PRESETS: dict[tuple[str, str], RotationSettings] = {
    ("cpu", "image2sphere"): Image2SphereSettings(),
    ("cpu", "ipdf"): ImplicitPdfSettings(),
    ("gpu", "image2sphere"): Image2SphereSettings(
        features=256, hidden=16, resolution=8, grid_level=4, batch=256, steps=10_000, rate=1.5e-3, **_LARGE
    ),
    ("gpu", "ipdf"): ImplicitPdfSettings(width=256, queries=2048, batch=128, steps=10_000, rate=1e-3, **_LARGE),
}
COLUMNS = {
    "set": "set",
    "method": "method",
    "labels": "labels",
    "steps": "steps",
    "log_likelihood": "log-lik.",
    "range": "range",
    "ceiling": "ceiling",
    "reduced_median_deg": "median°",
    "spread_deg": "spread°",
    "in_50": "in 50 %",
    "in_90": "in 90 %",
    "cpu_seconds": "cpu s",
    "wall_seconds": "wall s",
}
MEDIANS = (
    "log_likelihood",
    "ceiling",
    "reduced_median_deg",
    "spread_deg",
    "in_50",
    "in_90",
    "cpu_seconds",
    "wall_seconds",
)


@dataclass(frozen=True)
class Arguments:
    """What is run, and where things are kept."""

    methods: tuple[Literal["image2sphere", "ipdf"], ...] = ("image2sphere", "ipdf")
    """Which networks."""
    labels: tuple[Literal["equivalent", "single"], ...] = ("equivalent", "single")
    """What they are told."""
    sets: tuple[Literal["I", "II"], ...] = ("I",)
    """Which shapes."""
    preset: Literal["cpu", "gpu"] = "cpu"
    """Size of picture and network."""
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
    """Two shapes, a few steps, a few images: does the script run?"""

    def shapes(self, name: str) -> tuple[str, ...]:
        """Of a set."""
        return SETS[name][:2] if self.quick else SETS[name]


def learned(shapes: str, method: str, labels: str, seed: int, a: Arguments) -> tuple[RotationPrior, dict[str, float]]:
    """A network, from the cache or trained now, and the seconds that training took; resumes what was interrupted."""
    settings = replace(PRESETS[a.preset, method], seed=seed, tensorboard=False, device=a.device)
    settings = replace(settings, equivalents="random" if labels == "equivalent" else "one")
    settings = replace(settings, steps=a.steps or settings.steps)
    if a.quick:
        settings = replace(settings, steps=3, batch=2)
    folder = a.cache / f"{a.preset}-{shapes}-{method}-{labels}-{seed}-{settings.steps}"
    times = folder / "seconds.json"
    if not times.is_file():
        many = SolidSettings(
            a.shapes(shapes), images=20 if a.quick else TRAIN[a.preset], side=settings.side, seed=SEEDS["train"]
        )
        with Stopwatch() as watch:
            fit = resolve(ZOO[method].fit)
            fit(make_solids(many, a.device), settings, out=folder, resume=True, progress=told(folder.name))
        write_json(times, {"steps": settings.steps, "cpu_seconds": watch.cpu, "wall_seconds": watch.wall})
    return resolve(ZOO[method].load)(folder, a.device), json.loads(times.read_text())


def row(shapes: str, method: str, labels: str, a: Arguments) -> dict[str, Any]:
    """Medians over seeds."""
    side = PRESETS[a.preset, method].side
    test = make_solids(SolidSettings(a.shapes(shapes), images=1 if a.quick else TEST, side=side, seed=SEEDS["test"]))
    validation = make_solids(
        SolidSettings(a.shapes(shapes), images=1 if a.quick else VAL, side=side, seed=SEEDS["val"])
    )
    found: list[Mapping[str, Any]] = []
    for seed in a.seeds:
        prior, seconds = learned(shapes, method, labels, seed, a)
        prior = calibrated(prior, validation)
        scored = score_rotations(prior, test, level=a.level).as_json()
        inside = {"in_50": scored["calibration"]["0.5"], "in_90": scored["calibration"]["0.9"]}
        found.append({**scored, **inside, **seconds, "temperature": prior.temperature, "seed": seed})
        print(f"{shapes} {method} {labels} seed {seed}: {scored['log_likelihood']:.3f}", flush=True)
    middle = {key: median(f[key] for f in found) for key in MEDIANS}
    values = [f["log_likelihood"] for f in found]
    spread = f"{min(values):.2f} … {max(values):.2f}" if len(values) > 1 else None
    what = {"set": shapes, "method": method, "labels": labels, "steps": found[0]["steps"]}
    return {**what, **middle, "range": spread, "seeds": found}


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    a = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(a.threads)
    torch.manual_seed(0)
    rows = [row(shapes, method, labels, a) for shapes in a.sets for method in a.methods for labels in a.labels]
    print(table(rows, COLUMNS))
    save(a.out, "rotations of symmetric solids", a, rows)
    return rows


if __name__ == "__main__":
    main()
