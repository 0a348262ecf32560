"""NeRF and iNeRF beside the field and the default way: quality, and the pose of held-out photos from disturbed starts.

Specification, fixed before the first number was taken with it:

- Sets: lego (train photos against the ten val photos) and fern (every eighth held out; warped to normalised device
  coordinates inside, poses in and out in the file's world). NeRF: the small preset as it stands, seed 0; the field:
  `resect fit field` as it stands. PSNR is the mean over held-out photos at the size that the NeRF learned from (200
  pixels of the longer side), transparent photos on white.
- Protocol: iNeRF's synthetic starts, as in `benchmark inerf`: rotation about the camera's centre by up to 40°, each
  coordinate of the centre moved by up to 0.2 units (fern: 0.1), `--photos` held-out photos. "inerf": the published
  preset (300 Adam steps, interest regions of 2048 rays, rate 0.01 · 0.8^(k/100)) on the NeRF, `--starts-inerf` starts
  a photo. "ours": the default refiner on the field, told standard deviations of 20° and 0.1 of the scene's scale,
  `--starts` starts a photo. All count; a failure is a failure.
- "5°/0.05": rotation below 5° and centre within 0.05 units, the paper's.
- One step of the published full size (8 layers of 256, 64 + 128 samples, 2048 rays, random weights), timed as in
  `inerf_step.py`, times 300, beside one whole estimate of ours in the same run.

What is done is kept (poses.csv of each refiner below --cache); the same command goes on where it was cut off. On a GPU:
`--device cuda`, and `--preset full` trains the published size.

    RESECT_TEST_DATA=DIR python benchmarks/nerf.py [--sets lego fern] [--device cpu]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any, Literal

import torch
import tyro
from inerf_step import STEPS, PublishedStep
from inerf_step import Arguments as StepArguments
from record import CACHE, RESULTS, Stopwatch, save, table, use_threads
from sets import open_set, place_of

from resect.evaluation.protocols.inerf import InerfSettings, Variant, make_starts, words
from resect.evaluation.protocols.trials import run_trials
from resect.metrics.image import psnr
from resect.place import open_place, read_place
from resect.protocols import Scene
from resect.refine.inerf import Inerf
from resect.scenes.nerf.fit import fit
from resect.scenes.nerf.scene import Nerf
from resect.scenes.nerf.settings import NerfSettings, PublishedNerfSettings
from resect.types import Estimate, Hypotheses, Photo, PhotoSet, Split

SIGMA = (20.0, 0.1)
VARIANTS: dict[str, Variant] = {"lego": "synthetic", "fern": "real"}
TINY = NerfSettings(depth=2, width=16, octaves=3, samples=8, finer_samples=8, max_side=32, batch=64, steps=4)
COLUMNS = {
    "set": "set", "what": "what", "psnr": "PSNR", "fit_cpu_seconds": "fit cpu s", "trials": "trials",
    "joint_5deg_0.05": "5°/0.05", "rotation_5deg": "5°", "translation_0.05": "0.05", "median_rotation_deg": "median°",
    "median_rays": "rays", "seconds_per_trial": "s", "worse_than_start": "worse",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    sets: tuple[str, ...] = ("lego", "fern")
    """Of lego, fern, room."""
    preset: Literal["small", "full"] = "small"
    """Of the NeRF; full is the published size, for a GPU."""
    nerf_steps: int | None = None
    """Of the NeRF's training, in place of the preset's; the answer repeats it."""
    photos: int = 10
    """Held-out photos of the protocol."""
    starts: int = 5
    """Starts of each, for ours."""
    starts_inerf: int = 1
    """Starts of each, for iNeRF."""
    rays: int = 2048
    """Of an iNeRF step; fewer than published only where time is short: the rows say it."""
    steps: int = 300
    """Of iNeRF."""
    what: tuple[Literal["psnr", "inerf", "ours", "step"], ...] = ("psnr", "inerf", "ours", "step")
    """Parts to run."""
    cache: Path = CACHE
    """Folder of fitted places and answers, used again."""
    seed: int = 0
    """Of fitting, starts and pixels."""
    device: str = "cpu"
    """Of the NeRF."""
    threads: int = 0
    """PyTorch's threads; 0: all cores."""
    out: Path | None = RESULTS / "nerf.json"
    """JSON file to write."""
    quick: bool = False
    """Tiny networks and one photo, to see whether the script runs."""


def nerf_of(name: str, photos: PhotoSet, split: Split, args: Arguments) -> tuple[Nerf, float | None]:
    """The NeRF, fitted unless it is there, and the processor seconds that it took where it was made now."""
    folder = args.cache / f"{name}-nerf-{args.preset}{'-quick' if args.quick else ''}-seed{args.seed}"
    spent = None
    if not (folder / "artifact.json").is_file():
        kind = TINY if args.quick else PublishedNerfSettings() if args.preset == "full" else NerfSettings()
        steps = args.nerf_steps or kind.steps
        settings = replace(kind, steps=steps, seed=args.seed, device=args.device, tensorboard=False)
        with Stopwatch() as watch:
            fit(photos.subset(split.train), settings, out=folder, resume=True, progress=_tell)
        spent = watch.cpu
    return Nerf.load(folder, args.device), spent


def _tell(done: int, total: int, remark: str) -> None:
    if done == total or done % 500 == 0:
        print(f"  {done} of {total}: {remark}", flush=True)


def quality(scene: Scene, photos: PhotoSet, indices: Sequence[int], side: int) -> float:
    """Mean PSNR over photos."""
    values = []
    for i in indices:
        camera, pose = photos.cameras[i].fit_within(side), photos.truth.cam_from_world[i : i + 1].float()
        with torch.no_grad():
            shown, seen = scene.render(camera, pose, ("rgb",)).rgb, scene.observe(photos[i], camera).rgb
        assert shown is not None
        assert seen is not None
        values.append(psnr(shown.clamp(0, 1).cpu(), seen.cpu()))
    return mean(values)


class _Field:
    """The place of a set, fitted unless it is there, and the default way in it."""

    def __init__(self, name: str, photos: PhotoSet, split: Split, args: Arguments) -> None:
        folder, made = place_of(name, photos, split, args.cache, seed=args.seed, quick=args.quick)
        self.fit_cpu_seconds = made["fit_cpu_seconds"]
        self.where = open_place(folder, prior=(), seed=args.seed)
        assert self.where.scene is not None
        self.scene: Scene = self.where.scene
        turn, shift = math.radians(SIGMA[0]), SIGMA[1] * read_place(folder).scene_scale
        self.information = torch.diag(torch.tensor([shift**-2] * 3 + [turn**-2] * 3, dtype=torch.float64))

    def estimate(self, photo: Photo, given: Hypotheses) -> Estimate:
        """From given starts."""
        return self.where.estimate(photo, replace(given, information=self.information.expand(len(given), 6, 6)))


def run_set(name: str, args: Arguments) -> list[dict[str, Any]]:
    photos, split = open_set(name, quick=args.quick)
    needed = "psnr" in args.what or "inerf" in args.what
    nerf, spent = nerf_of(name, photos, split, args) if needed else (None, None)
    test = split.test[:1] if args.quick else split.test
    rows: list[dict[str, Any]] = []
    field = _Field(name, photos, split, args) if {"psnr", "ours"} & set(args.what) else None
    if "psnr" in args.what and nerf is not None and field is not None:
        side = nerf.settings.max_side
        rows.append({"set": name, "what": "nerf", "psnr": quality(nerf, photos, test, side), "fit_cpu_seconds": spent})
        found = {"psnr": quality(field.scene, photos, test, side), "fit_cpu_seconds": field.fit_cpu_seconds}
        rows.append({"set": name, "what": "field", **found})

    def ours(photo: Any, given: Any) -> Any:
        assert field is not None
        return field.estimate(photo, given)

    inerf = Inerf(seed=args.seed)
    inerf = replace(inerf, settings=replace(inerf.settings, rays=args.rays, steps=args.steps))

    def published(photo: Any, given: Any) -> Any:
        assert nerf is not None
        return inerf.refine(nerf, photo, given)

    for what, refine, starts in (("inerf", published, args.starts_inerf), ("ours", ours, args.starts)):
        if what not in args.what:
            continue
        asked = InerfSettings(VARIANTS.get(name, "synthetic"), min(args.photos, len(test)), starts, seed=args.seed)
        out = args.cache / f"{name}-inerf-{args.preset}{'-quick' if args.quick else ''}" / what / "poses.csv"
        told = {"rays": args.rays, "steps": args.steps} if what == "inerf" else {}
        trials = run_trials(
            refine, photos, replace(split, test=tuple(test)), make_starts(photos, split, asked), refiner=what,
            protocol="inerf", words=words(asked), settings={"refiner": what, **told, "seed": args.seed}, out=out,
            progress=lambda done: print(f"  {done.count} of {done.total}: {done.photo} {done.status}", flush=True),
        )  # fmt: skip
        facts = trials.as_json()
        rows.append({"set": name, "what": f"{what} {args.rays} rays" if told else what, **facts})
    return rows


def steps_beside(name: str, args: Arguments) -> dict[str, Any]:
    """One step of the published size, times 300, beside one estimate of ours."""
    photos, split = open_set(name, quick=args.quick)
    folder, _ = place_of(name, photos, split, args.cache, seed=args.seed, quick=args.quick)
    step = PublishedStep(StepArguments(set=name, seed=args.seed, rays=64 if args.quick else 2048))
    where = open_place(folder, seed=args.seed)
    where.estimate(photos[split.train[0]])
    published, ours = [], []
    for i in split.test[:3]:
        with Stopwatch() as watch:
            step.once()
        published.append(watch.cpu)
        with Stopwatch() as watch:
            where.estimate(photos[i])
        ours.append(watch.cpu)
    cpu = {"published_step_cpu_s": median(published), "published_300_cpu_s": STEPS * median(published)}
    cpu["our_estimate_cpu_s"] = median(ours)
    return cpu | {"ratio": cpu["published_300_cpu_s"] / max(cpu["our_estimate_cpu_s"], 1e-9)}


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    rows = [row for name in arguments.sets for row in run_set(name, arguments)]
    print(table(rows, COLUMNS))
    facts = steps_beside(arguments.sets[0], arguments) if "step" in arguments.what else {}
    if facts:
        print(facts)
    save(arguments.out, "nerf", arguments, rows, step=facts)
    return rows


if __name__ == "__main__":
    main()
