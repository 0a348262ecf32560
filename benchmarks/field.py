"""The voxel field on four captures: seconds, held-out PSNR, depth error.

RESECT_TEST_DATA=DIR python benchmarks/field.py [--scenes fox,lego,fern,kitchen] [--left-out] [--field.threads 2 …]

`--left-out` holds out every sixth *training* photo (a quarter of them, in runs of 15, where the split is by blocks) and
never opens the test photos: what constants are chosen by.
Depth is compared with landmarks that are triangulated from the training photos alone and seen in four or more of
them: at held-out photos with those that the two nearest training photos see, and (`trained_depth`) at the training
photos themselves with those that each sees. Compilation is done before the clock starts.
"""

import json
import math
import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
import tyro

import resect
from resect.data import read
from resect.data.split import make_split
from resect.priors.landmarks.fit import TriangulatedPoints, triangulated_points
from resect.scenes.field.fit import fit
from resect.scenes.field.quality import held_out_quality
from resect.scenes.field.scene import Field
from resect.scenes.field.settings import FieldSettings
from resect.types import PhotoSet

SCENES = {
    "fox": ("fox", None, "every:8", 240),
    "lego": ("nerf_synthetic_lego", None, "given", 200),
    "fern": ("llff_fern", None, "every:8", 252),
    "kitchen": ("7scenes_redkitchen_seq01", "sfm_pgt_redkitchen_seq01.txt", "blocks:20:4", 160),
}


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    scenes: str = ",".join(SCENES)
    """Names, separated by commas."""
    left_out: bool = False
    """Hold out every sixth training photo in place of the test photos."""
    depth: bool = True
    """Measure the depth error."""
    out: Path | None = None
    """JSON file to write."""
    field: FieldSettings = field(default_factory=FieldSettings)
    """Settings of the field, the same for every scene but for the size of the photos."""


def load(name: str, left_out: bool) -> tuple[PhotoSet, PhotoSet, int]:
    """Training photos, held-out photos and the long side to compare at."""
    folder, poses, rule, side = SCENES[name]
    root = Path(os.environ["RESECT_TEST_DATA"]) / folder
    photos = read(root, None if poses is None else root / poses)
    split = make_split(photos, rule)
    if not left_out:
        return photos.subset(split.train), photos.subset(split.test), side
    apart = [k // 15 % 4 == 3 if rule.startswith("blocks") else k % 6 == 0 for k in range(len(split.train))]
    kept = [i for i, out in zip(split.train, apart, strict=True) if not out]
    return photos.subset(kept), photos.subset([i for i in split.train if i not in kept]), side


@dataclass
class Clock:
    """Wall and processor seconds of the training steps alone."""

    wall: float = math.nan
    cpu: float = math.nan

    def __call__(self, done: int, total: int, remark: str) -> None:
        if remark == "reading photos":
            self.wall, self.cpu = time.perf_counter(), time.process_time()
        elif done == total:
            self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu


@torch.no_grad()
def depth_error(model: Field, train: PhotoSet, held_out: PhotoSet, side: int) -> dict[str, float]:
    """Relative error of the median depth at landmarks, in percent."""
    points, centers = triangulated_points(train), train.truth.cam_from_world.center.double()
    nearest = [(centers - c).norm(dim=-1).argsort()[:2].tolist() for c in held_out.truth.cam_from_world.center.double()]
    at_held_out = _depth_errors(model, points, held_out, nearest, side)
    at_training = _depth_errors(model, points, train, [[i] for i in range(len(train))], side)
    return {
        "depth_pairs": len(at_held_out),
        "depth_median_percent": 100 * float(at_held_out.median()),
        "depth_above_5_percent": 100 * float((at_held_out > 0.05).double().mean()),
        "trained_depth_pairs": len(at_training),
        "trained_depth_median_percent": 100 * float(at_training.median()),
        "trained_depth_above_5_percent": 100 * float((at_training > 0.05).double().mean()),
    }


def _depth_errors(
    model: Field, points: TriangulatedPoints, photos: PhotoSet, seen_in: list[list[int]], side: int
) -> torch.Tensor:
    """Relative errors of all photos at the points that the training photos `seen_in` see."""
    good, errors = points.views >= 4, []
    for i, training in enumerate(seen_in):
        pose, seen = photos.truth.cam_from_world[i], torch.zeros(len(points), dtype=torch.bool)
        for photo in training:
            seen[points.track[points.photo == photo]] = True
        cam = pose.double().apply(points.xyz[seen & good].double())
        camera = photos.cameras[i].fit_within(side)
        pixel, ok = camera.project(cam)
        shown = model.render(camera, pose[None], ("depth",), pixels=pixel[ok].float())
        assert shown.depth is not None
        errors.append((shown.depth[0].double() / cam[ok, 2] - 1).abs())
    return torch.cat(errors)


def run(name: str, arguments: Arguments) -> dict[str, object]:
    train, held_out, side = load(name, arguments.left_out)
    settings = replace(arguments.field, max_side=side)
    clock = Clock()
    model = fit(train, settings, progress=clock)
    began = time.perf_counter()
    psnr, ssim = held_out_quality(model, held_out, side)
    row: dict[str, object] = {
        "scene": name,
        "seconds": round(clock.wall, 1),
        "cpu_seconds": round(clock.cpu, 1),
        "psnr": round(psnr, 2),
        "ssim": round(ssim, 4),
        "photos": [len(train), len(held_out)],
        "case": model.frame.case,
        "blocks": model.grid.blocks,
        "seconds_a_view": round((time.perf_counter() - began) / len(held_out), 3),
    }
    if arguments.depth and name != "lego":
        row |= {k: round(v, 2) for k, v in depth_error(model, train, held_out, side).items()}
    return row


def main() -> None:
    arguments = tyro.cli(Arguments)
    torch.set_num_threads(arguments.field.threads)
    compile_kernels(arguments.field.threads)
    rows = []
    for name in arguments.scenes.split(","):
        rows.append(run(name, arguments))
        print(json.dumps(rows[-1]), flush=True)
    if arguments.out is not None:
        facts = {"resect": resect.__version__, "left_out": arguments.left_out, "settings": asdict(arguments.field)}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n")


def compile_kernels(threads: int) -> None:
    """Fits a toy, so that what is timed later is compiled."""
    from resect.data.synthetic import SyntheticSettings, make_capture

    toy = make_capture(SyntheticSettings(photos=3, width=32, height=24))
    held_out_quality(fit(toy, replace(FieldSettings.tiny(), threads=threads)), toy, 32)


if __name__ == "__main__":
    main()
