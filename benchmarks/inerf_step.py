"""One step of iNeRF as published, beside one step of ours and one whole estimate of ours, in the same run.

Specification, fixed before the first number was taken with it:

- The published step, in plain PyTorch (float32, CPU): two NeRF networks of 8 layers of 256 (positions encoded with 10
  octaves, directions with 4; the encoding comes in again at the fifth layer; 595 844 weights each), 64 samples for the
  coarse one, 64 + 128 for the fine one, 2048 rays, mean squared colour error of the fine render, its gradient with
  respect to the pose (a twist), one step of Adam. The cost of a step does not depend on what the networks have learned,
  so their weights are random.
- In the baseline's favour: the coarse network runs without a graph (the loss is on the fine one alone), weights need no
  gradient, and rays go through in chunks of `--chunk`, forward and backward, which is the same gradient and keeps
  memory in the cache; the default chunk took the least processor time of 64, 256, 1024 and 2048.
- Ours: one Levenberg–Marquardt step on the fitted place, 2048 rays, exact derivatives, one solve (20 a turn); and the
  default pipeline of `places.py` on the held-out photos, decoded photo to answer (median). Both warm.
- All with the same number of threads, taking turns: a baseline step, then ours, `--repeats` times. Medians.
- The ratio: 300 baseline steps (the published number) over one whole estimate of ours.

    RESECT_TEST_DATA=DIR python benchmarks/inerf_step.py [--set fox] [--repeats 3] [--threads 2]
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
import tyro
from record import CACHE, RESULTS, Stopwatch, save, table, use_threads
from sets import Timed, open_pipeline, open_set, place_of
from torch import Tensor
from torch.nn import Linear, Module, ModuleList
from torch.nn.functional import relu

from resect.geometry.se3 import SE3
from resect.place import open_place
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt
from resect.refine.objectives import Difference
from resect.refine.recipe import RefineSettings, Work
from resect.refine.robust import Robust
from resect.refine.rows import DrawPixels, photometric
from resect.types import PhotoSet, Split

RAYS, COARSE, FINE, STEPS = 2048, 64, 128, 300
COLUMNS = {"what": "what", "threads": "threads", "seconds": "s", "cpu_seconds": "cpu s", "of": "median of"}


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    set: str = "fox"
    """The place that ours works on; "room" is synthetic."""
    repeats: int = 3
    """Baseline steps that are timed."""
    rays: int = RAYS
    """Of the baseline and of our step; fewer only to see whether the script runs."""
    chunk: int = 256
    """Rays of the baseline that go through at once."""
    seed: int = 0
    """Of fitting, of the weights and of the rays."""
    cache: Path = CACHE
    """Folder of fitted places, used again."""
    out: Path | None = RESULTS / "inerf_step.json"
    """JSON file to write."""
    threads: int = 2
    """CPU threads; 0 takes all cores."""
    quick: bool = False
    """Small captures and fields, to see whether the script runs."""


def encoded(x: Tensor, octaves: int) -> Tensor:
    """(x, sin 2⁰x, cos 2⁰x, …)."""
    waves = [f(2**k * x) for k in range(octaves) for f in (torch.sin, torch.cos)]
    return torch.cat([x, *waves], -1)


class Nerf(Module):
    """The network of NeRF (Mildenhall et al., ECCV 2020, appendix A), with its layer widths."""

    def __init__(self) -> None:
        super().__init__()
        widths = [63, 256, 256, 256, 256, 319, 256, 256]
        self.layers = ModuleList(Linear(width, 256) for width in widths)
        self.density, self.feature = Linear(256, 1), Linear(256, 256)
        self.view, self.colour = Linear(283, 128), Linear(128, 3)
        self.density.bias.data.fill_(0.5)  # fog, so that the whole ray bears on the colour

    def forward(self, points: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Density (…,) and colour (…, 3)."""
        position = encoded(points, 10)
        h = position
        for k, layer in enumerate(self.layers):
            h = relu(layer(torch.cat([position, h], -1) if k == 5 else h))
        turned = encoded(directions, 4)[:, None].expand(-1, points.shape[1], -1)
        colour = self.colour(relu(self.view(torch.cat([self.feature(h), turned], -1))))
        return relu(self.density(h)[..., 0]), torch.sigmoid(colour)


def weights_of(density: Tensor, t: Tensor) -> Tensor:
    """Compositing weights of samples at distances t."""
    gap = torch.cat([t[:, 1:] - t[:, :-1], torch.full_like(t[:, :1], 1e10)], -1)
    alpha = 1 - torch.exp(-density * gap)
    clear = torch.cumprod(torch.cat([torch.ones_like(alpha[:, :1]), 1 - alpha + 1e-10], -1), -1)[:, :-1]
    return alpha * clear


def finer(t: Tensor, weight: Tensor, count: int) -> Tensor:
    """`count` more samples where the weights are, merged with t: inverse transform of a piecewise constant density."""
    middle, inner = 0.5 * (t[:, 1:] + t[:, :-1]), weight[:, 1:-1] + 1e-5
    cdf = torch.cat([torch.zeros_like(inner[:, :1]), torch.cumsum(inner / inner.sum(-1, keepdim=True), -1)], -1)
    u = torch.linspace(0, 1, count).expand(len(t), count).contiguous()
    above = torch.searchsorted(cdf, u, right=True).clamp(1, cdf.shape[1] - 1)
    low, high = cdf.gather(1, above - 1), cdf.gather(1, above)
    near, far = middle.gather(1, above - 1), middle.gather(1, above)
    share = (u - low) / (high - low).clamp_min(1e-5)
    return torch.cat([t, near + share * (far - near)], -1).sort(-1).values


def colours(coarse: Nerf, fine: Nerf, origins: Tensor, directions: Tensor) -> Tensor:
    """Rays (n, 3) → colours (n, 3) of the fine network."""
    t = torch.linspace(2.0, 6.0, COARSE).expand(len(origins), COARSE)
    with torch.no_grad():
        density, _ = coarse(origins[:, None] + t[..., None] * directions[:, None], directions)
        t = finer(t, weights_of(density, t), FINE)
    density, colour = fine(origins[:, None] + t[..., None] * directions[:, None], directions)
    return (weights_of(density, t)[..., None] * colour).sum(1)


class PublishedStep:
    """iNeRF's loop with random networks and a random photo; `once` is one step."""

    def __init__(self, arguments: Arguments) -> None:
        torch.manual_seed(arguments.seed)
        self.coarse, self.fine = Nerf().requires_grad_(False), Nerf().requires_grad_(False)
        self.rays, self.chunk = arguments.rays, arguments.chunk
        pixels = torch.rand(self.rays, 2) - 0.5
        self.cam_rays = torch.nn.functional.normalize(torch.cat([pixels, torch.ones(self.rays, 1)], -1), dim=-1)
        self.photo = torch.rand(self.rays, 3)
        self.start = SE3(torch.eye(3), torch.tensor([0.0, 0.0, 4.0]))
        self.twist = torch.zeros(6, requires_grad=True)
        self.adam = torch.optim.Adam([self.twist], lr=0.01)

    def once(self) -> Tensor:
        """One step; returns the gradient."""
        self.adam.zero_grad()
        for part in torch.arange(self.rays).split(self.chunk):
            cam_from_world = SE3.exp(self.twist) @ self.start
            directions = self.cam_rays[part] @ cam_from_world.R
            shown = colours(self.coarse, self.fine, cam_from_world.center.expand_as(directions), directions)
            ((shown - self.photo[part]).square().sum() / (3 * self.rays)).backward()
        self.adam.step()
        assert self.twist.grad is not None
        return self.twist.grad


def our_step(photos: PhotoSet, split: Split, folder: Path, rays: int) -> Callable[[], SE3]:
    """One Levenberg–Marquardt step on random rays of a training photo, from its own pose."""
    scene = open_place(folder, prior=()).scene
    assert scene is not None
    view = Work(scene, photos[split.train[0]], RefineSettings()).view(240)
    pixels = DrawPixels(torch.ones(len(view.observed)), rays, seed=0)
    term = photometric(view, Difference(view.channel), Robust("cauchy", 0.1), draw=pixels)
    pose = photos.truth.cam_from_world[[split.train[0]]].float()

    @torch.no_grad()
    def once() -> SE3:
        return levenberg_marquardt(term, pose, LMSettings(steps=1)).cam_from_world

    return once


def time_of(step: Callable[[], object], count: int) -> list[Stopwatch]:
    found = []
    for _ in range(count):
        with Stopwatch() as spent:
            step()
        found.append(spent)
    return found


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(arguments.threads)
    photos, split = open_set(arguments.set, quick=arguments.quick)
    folder, _ = place_of(arguments.set, photos, split, arguments.cache, seed=arguments.seed, quick=arguments.quick)
    published, ours = PublishedStep(arguments), our_step(photos, split, folder, arguments.rays)
    where = Timed(open_pipeline(folder, "default", seed=arguments.seed))
    where.warm_up(photos, split.train[:2])
    time_of(ours, 3)
    baseline, steps = [], []
    for _ in range(arguments.repeats):
        baseline += time_of(published.once, 1)
        steps += time_of(ours, 20)
        for i in split.test:
            where.estimate(photos[i])
    rows = []
    for what, wall, cpu in (
        ("published step", [s.wall for s in baseline], [s.cpu for s in baseline]),
        ("our step", [s.wall for s in steps], [s.cpu for s in steps]),
        ("our estimate", where.wall, where.cpu),
    ):
        row = {"what": what, "threads": torch.get_num_threads(), "seconds": median(wall), "cpu_seconds": median(cpu)}
        rows.append(row | {"of": len(wall)})
    print(table(rows, COLUMNS))
    ratio = {"steps_over_estimate": STEPS * rows[0]["seconds"] / rows[2]["seconds"]}
    ratio["step_over_step"] = rows[0]["seconds"] / rows[1]["seconds"]
    print(json.dumps(ratio))
    save(arguments.out, "inerf_step", arguments, rows, **ratio)
    return [*rows, ratio]


if __name__ == "__main__":
    main()
