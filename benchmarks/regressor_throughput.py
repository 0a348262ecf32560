"""Photos a second that training looks at: a pose regressor and a pose auto-encoder, beside the published loops.

Specification, fixed before the first number was taken with it:

- Photos: the first 96 training photos of the kitchen (640 × 480 PNG); "room" is synthetic, 320 × 240. MobileNetV2 with
  random weights; 32 photos a step.
- "published": the loops of `published_regressors.py`, a port from their description, which read every photo again in
  every epoch by `--workers` processes. "posenet-full": this package's preset of the same recipe (the whole backbone
  trained, 224 pixels, pictures kept in memory). "posenet": its default, another recipe: the backbone stays as it is,
  128 pixels, features computed once and pictures remembered; all of that is counted.
- PoseNet, published and posenet-full: seconds between steps, the median of `--steps` after a first epoch of three, in
  which memory is filled and workers start; photos a second are 32 over it. posenet: 1500 steps of 32 over the
  whole of its fit on these photos, without the second network that measures errors.
- Auto-encoder: `--epochs` epochs. Published: photos over the whole loop, teacher and reading included. "pose-decoder-
  full": the same recipe here, the teacher's look at the photos included, which is once.
- Seconds of the wall and of the processor, child processes included. One thread of PyTorch each, so that workers of the
  published loops have the machine's other cores; with `--threads 0` all.
- Aim: at least twice the published loops.

    RESECT_TEST_DATA=DIR python benchmarks/regressor_throughput.py
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import published_regressors as published
import torch
import tyro
from record import RESULTS, save, table, use_threads
from sets import open_set

from resect.data.synthetic import SyntheticSettings, make_capture
from resect.geometry import so3
from resect.nn.training_pictures import TrainingPictures
from resect.priors.posenet.fit import Batches, Source, Trainee
from resect.priors.posenet.fit import fit as fit_posenet
from resect.priors.posenet.network import make_network
from resect.priors.posenet.prior import PoseNet
from resect.priors.posenet.settings import PoseNetSettings, PublishedPoseNetSettings
from resect.scenes.pose_decoder.fit import fit as fit_decoder
from resect.scenes.pose_decoder.settings import PublishedPoseDecoderSettings
from resect.training.loop import Turn, train
from resect.types import PhotoSet

COLUMNS = {
    "what": "what", "photos_per_second": "photos/s", "times": "×",
    "cpu_photos_per_second": "photos/s of cpu", "times_cpu": "×",
}  # fmt: skip
Clock = tuple[float, float]


@dataclass(frozen=True)
class Arguments:
    """How long."""

    set: str = "kitchen"
    """Photos; "room" is synthetic."""
    photos: int = 96
    """How many."""
    steps: int = 6
    """Of PoseNet that are timed."""
    epochs: int = 4
    """Of the auto-encoder."""
    workers: int = published.WORKERS
    """Processes that read for the published loops."""
    threads: int = 1
    """CPU threads; 0 takes all cores."""
    out: Path | None = RESULTS / "regressor_throughput.json"
    """JSON file to write."""
    quick: bool = False
    """Few photos and steps, to see whether the script runs."""

    @property
    def batch(self) -> int:
        """Photos a step."""
        return 2 if self.quick else published.BATCH


def now() -> Clock:
    """Seconds of the wall and of the processor, of this process and of those that it waited for."""
    t = os.times()
    return time.perf_counter(), t.user + t.system + t.children_user + t.children_system


def files(photos: PhotoSet) -> published.Photos:
    """The same photos for the published loops."""
    world_from_cam = photos.truth.cam_from_world.inverse()
    poses = torch.cat([world_from_cam.t, so3.to_quaternion(world_from_cam.R)], 1).float()
    return published.Photos([photos.root / name for name in photos.names], poses, augment=True)


def row(what: str, photos: float, spent: Clock) -> dict[str, Any]:
    return {"what": what, "photos_per_second": photos / spent[0], "cpu_photos_per_second": photos / spent[1]}


def between(start: Clock) -> Clock:
    end = now()
    return end[0] - start[0], end[1] - start[1]


def stepped(what: str, loop: Iterator[object], first: int, steps: int, batch: int) -> dict[str, Any]:
    """Of a loop, the median step after the first ones; of the processor the mean, as children report late."""
    for _ in range(first):
        next(loop)
    began, wall, at = now(), list[float](), now()
    for _ in range(steps):
        next(loop)
        wall.append(now()[0] - at[0])
        at = now()
    return row(what, batch, (median(wall), between(began)[1] / steps))


def ours(photos: PhotoSet, first: int, steps: int, batch_size: int) -> dict[str, Any]:
    """The published recipe in this package."""
    s = PublishedPoseNetSettings(backbone="mobilenet_v2", pretrained="", steps=first + steps + 1, epochs=0)
    s = replace(s, tensorboard=False, batch=batch_size)
    pictures = TrainingPictures(photos, s.side, s.share, crop=s.crop)
    network = make_network(s, pictures.poses, 0)
    batches, times = Batches(Source(pictures, network, s, 0), range(len(photos))), list[Clock]()

    def batch(turn: Turn) -> Any:
        times.append(now())
        return batches.batch(turn)

    train(Trainee(network, s, False), batch, lambda module, b: module(*b), s, seed=0, data="throughput")
    spent = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(times[first:], times[first + 1 :], strict=False)][:steps]
    return row("posenet-full", s.batch, (median(w for w, _ in spent), sum(c for _, c in spent) / len(spent)))


def small(photos: PhotoSet, quick: bool) -> dict[str, Any]:
    """The default recipe, all of it."""
    s = PoseNetSettings(backbone="mobilenet_v2", pretrained="", tensorboard=False, left_out=False)
    s = replace(s, steps=20, views=1) if quick else s
    began = now()
    fit_posenet(photos, s)
    return row("posenet", s.steps * s.batch, between(began))


def encoders(photos: PhotoSet, arguments: Arguments) -> list[dict[str, Any]]:
    """Both auto-encoders."""
    looked = arguments.epochs * len(photos)
    some = files(photos)
    some.augment = False
    loop = published.train_encoder(some, published.PoseNet(), arguments.workers, arguments.batch)
    began = now()
    for _ in range(arguments.epochs * -(-len(photos) // arguments.batch)):
        next(loop)
    loop.close()
    rows = [row("published auto-encoder", looked, between(began))]
    s = PublishedPoseNetSettings(backbone="mobilenet_v2", pretrained="", normalize=True)
    poses = photos.truth.cam_from_world.double()
    teacher = PoseNet(make_network(s, poses, 0).eval().requires_grad_(False), s, photos.cameras[0])
    began = now()
    settings = replace(PublishedPoseDecoderSettings(tensorboard=False), epochs=arguments.epochs)
    fit_decoder(photos, settings, parents=(teacher,))
    return [*rows, row("pose-decoder-full", looked, between(began))]


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    with TemporaryDirectory() as folder:
        if arguments.set == "room":
            shot = SyntheticSettings(photos=4 if arguments.quick else arguments.photos, path="orbit")
            photos = make_capture(shot, Path(folder) / "room")
        else:
            photos, split = open_set(arguments.set)
            photos = photos.subset(split.train[: arguments.photos])
        first = 1 if arguments.quick else 3
        loop = published.train_posenet(files(photos), arguments.workers, arguments.batch)
        rows = [stepped("published PoseNet", loop, first, arguments.steps, arguments.batch)]
        rows.append(ours(photos, first, arguments.steps, arguments.batch))
        rows += [small(photos, arguments.quick), *encoders(photos, arguments)]
    base = {"posenet": rows[0], "auto": rows[3]}
    for made in rows:
        other = base["auto" if made in rows[3:] else "posenet"]
        made["times"] = made["photos_per_second"] / other["photos_per_second"]
        made["times_cpu"] = made["cpu_photos_per_second"] / other["cpu_photos_per_second"]
    print(table(rows, COLUMNS))
    save(arguments.out, "regressor_throughput", arguments, rows)
    return rows


if __name__ == "__main__":
    main()
