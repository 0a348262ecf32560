"""A NeRF that learns from depth too, beside one that learns from colour alone.

Specification, fixed before the first number was taken with it:

- The room of `resect data make` as it stands (40 photos that look across it and out, 320×240, exact depth in
  millimetres), every eighth photo held out. The small preset of `resect fit nerf`, with and without
  `--nerf.depth-weight 0.1`, seed 0. `--views`: of the training photos only so many, evenly spread, are learned from.
- On the held-out photos at the size that was learned from: mean PSNR; the error of the expected depth at the middles of
  pixels, its median over all pixels in centimetres and the share below 5 cm.

A fit that is there is used again; the same command goes on where it was cut off.

    python benchmarks/nerf_depth.py [--weights 0 0.1] [--views 12]
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from nerf import TINY, quality
from record import CACHE, RESULTS, Stopwatch, save, table, told, use_threads
from torch import Tensor

from resect.data import make_split, read
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.scenes.nerf.fit import fit
from resect.scenes.nerf.scene import Nerf
from resect.scenes.nerf.settings import NerfSettings
from resect.types import PhotoSet

COLUMNS = {
    "weight": "depth weight", "views": "photos", "psnr": "PSNR", "median_depth_cm": "depth, cm",
    "within_5cm": "within 5 cm", "fit_cpu_seconds": "fit cpu s",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    weights: tuple[float, ...] = (0.0, 0.1)
    """Of depth in the loss."""
    views: int | None = None
    """Training photos to learn from; all when not given."""
    cache: Path = CACHE
    """Folder of the photos and the NeRFs, used again."""
    seed: int = 0
    """Of fitting."""
    threads: int = 0
    """PyTorch's threads; 0: all cores."""
    out: Path | None = RESULTS / "nerf_depth.json"
    """JSON file to write."""
    quick: bool = False
    """A small room and tiny networks, to see whether the script runs."""


def room(args: Arguments) -> PhotoSet:
    """The photos with their depth, drawn unless they are there."""
    folder = args.cache / f"depth-room{'-quick' if args.quick else ''}"
    if not (folder / "transforms.json").is_file():
        small = SyntheticSettings(photos=10, width=64, height=48, samples=1)
        make_capture(small if args.quick else SyntheticSettings(), out=folder)
    return read(folder)


def off(nerf: Nerf, photos: PhotoSet, indices: Sequence[int]) -> Tensor:
    """|error| of the depth of all pixels of some photos, metres."""
    found = []
    for i in indices:
        depth, camera = photos[i].depth, photos.cameras[i].fit_within(nerf.settings.max_side)
        assert depth is not None
        with torch.no_grad():
            shown = nerf.render(camera, photos.truth.cam_from_world[i : i + 1].float(), ("expected_depth",))
        assert shown.expected_depth is not None
        at = camera.pixels() * torch.tensor([depth.shape[1] / camera.width, depth.shape[0] / camera.height])
        found.append((shown.expected_depth[0].cpu() - depth[at[:, 1].long(), at[:, 0].long()]).abs())
    return torch.cat(found)


def row_of(weight: float, photos: PhotoSet, args: Arguments) -> dict[str, Any]:
    """One NeRF, fitted unless it is there."""
    split = make_split(photos, "every:8")
    train = split.train[:: max(1, -(-len(split.train) // args.views))] if args.views else split.train
    name = f"depth-room-nerf-{weight:g}-{len(train)}{'-quick' if args.quick else ''}-seed{args.seed}"
    settings = replace(TINY if args.quick else NerfSettings(), depth_weight=weight, seed=args.seed, tensorboard=False)
    spent = None
    if not (args.cache / name / "artifact.json").is_file():
        with Stopwatch() as watch:
            fit(photos.subset(train), settings, out=args.cache / name, resume=True, progress=told(name))
        spent = watch.cpu
    nerf = Nerf.load(args.cache / name)
    error = off(nerf, photos, split.test)
    return {
        "weight": weight,
        "views": len(train),
        "psnr": quality(nerf, photos, split.test, nerf.settings.max_side),
        "median_depth_cm": 100 * float(error.median()),
        "within_5cm": float((error < 0.05).float().mean()),
        "fit_cpu_seconds": spent,
    }


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    photos = room(arguments)
    rows = [row_of(weight, photos, arguments) for weight in arguments.weights]
    print(table(rows, COLUMNS))
    save(arguments.out, "nerf_depth", arguments, rows)
    return rows


if __name__ == "__main__":
    main()
