"""What inverting a pose decoder costs: a refinement among latents, and scoring ten thousand poses. Needs no data.

Specification: a decoder of default size with random weights (latent 512, 32 features), poses drawn about the origin
(normal, 0.5 of the frame's unit and 0.2 radians an axis), the photo's latent that of another such pose, its features
moved by a normal of 1 standard deviation, information of a normal start (0.3 units, 0.2 radians); seed 0.

- "refinement": `LatentRefiner` with default settings, of 1 and of 16 starts, beside the general least squares on the
  same squares (`levenberg_marquardt`, the same derivatives in closed form), ten steps each. The teacher's look at the
  photo is in neither.
- "scoring": `PoseDecoder.distance2` of 10 000 poses, beside the same by whole latents, projected.

Milliseconds are the least wall time and the mean processor time of the repeats; times is that of processor time.

    python benchmarks/latent_speed.py [--threads 1]
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from record import RESULTS, save, table, use_threads
from torch import Tensor

from resect.geometry.se3 import SE3
from resect.nn.pose_loss import PoseFrame
from resect.refine.latent import LatentRefiner, one_pixel
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt, total
from resect.refine.objectives import Difference
from resect.refine.robust import Robust
from resect.refine.rows import photometric, pose_information
from resect.scenes.pose_decoder.network import PoseDecoderNetwork
from resect.scenes.pose_decoder.scene import PIXEL, PoseDecoder
from resect.scenes.pose_decoder.settings import PoseDecoderSettings
from resect.types import Hypotheses, Photo

SIGMA = torch.tensor([0.5] * 3 + [0.2] * 3, dtype=torch.float64)
PHOTO = Photo("photo", torch.zeros(2, 2, 3))
COLUMNS = {"what": "what", "way": "way", "wall_ms": "ms", "cpu_ms": "cpu ms", "times": "times"}


@dataclass(frozen=True)
class Arguments:
    """What to run."""

    repeats: int = 30
    """Of each."""
    poses: int = 10_000
    """To score."""
    out: Path | None = RESULTS / "latent_speed.json"
    """JSON file to write."""
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    quick: bool = False
    """Tiny everything, to see whether the script runs."""


@dataclass(frozen=True)
class Knowing:
    """A teacher whose latent is at hand."""

    thought: Tensor
    frame: PoseFrame

    def latent(self, photo: Photo) -> Tensor:
        return self.thought


def drawn(count: int, g: torch.Generator) -> SE3:
    return SE3.exp(torch.randn(count, 6, generator=g, dtype=torch.float64) * SIGMA)


def decoder(g: torch.Generator) -> PoseDecoder:
    settings, frame = PoseDecoderSettings(), PoseFrame()
    torch.manual_seed(0)
    network = PoseDecoderNetwork(settings, 512).eval().requires_grad_(False)
    project = torch.randn(settings.channels, 512, generator=g)
    scene = PoseDecoder(network, settings, (frame,), project, torch.zeros(512), torch.zeros(2, 3))
    features = scene.latents(drawn(500, g)).float() @ project.T
    scene = replace(scene, project=project * (5 / features.std(0, keepdim=True).T))
    moved = torch.linalg.lstsq(scene.project, torch.randn(settings.channels, 1, generator=g)).solution[:, 0]
    thought = scene.latents(drawn(1, g))[0].float() + moved
    return scene.taught_by(Knowing(thought, frame))  # type: ignore[arg-type]


def general(scene: PoseDecoder, start: Hypotheses) -> SE3:
    """The same squares by the least squares of every scene."""
    assert start.information is not None
    features = photometric(one_pixel(scene, PHOTO), Difference("feature"), Robust("cauchy", 3.0))
    system = total([features, pose_information(start.cam_from_world, start.information)])
    settings = LMSettings(steps=10, damping=1e-3, policy="decrease", trust=0.5)
    return levenberg_marquardt(system, start.cam_from_world, settings).cam_from_world


def by_latents(scene: PoseDecoder, poses: SE3) -> Tensor:
    seen = scene.observe(PHOTO, PIXEL).feature
    assert seen is not None
    features = (scene.latents(poses) - scene.middle) @ scene.project.T
    return (features - seen[0]).square().sum(1)


def measured(what: str, ways: dict[str, Callable[[], Any]], repeats: int) -> list[dict[str, Any]]:
    """Each way in turn, so that a busy machine is busy for all of them."""
    wall, cpu = {way: list[float]() for way in ways}, dict.fromkeys(ways, 0.0)
    for k in range(repeats + 2):
        for way, run in ways.items():
            began, spent = time.perf_counter(), time.process_time()
            run()
            if k >= 2:  # warm
                wall[way].append(time.perf_counter() - began)
                cpu[way] += time.process_time() - spent
    most = max(cpu.values())
    return [
        {"what": what, "way": way, "wall_ms": 1e3 * min(wall[way]), "cpu_ms": 1e3 * cpu[way] / repeats,
         "times": most / cpu[way]} for way in ways
    ]  # fmt: skip


@torch.no_grad()
def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    a = tyro.cli(Arguments, args=args, description=__doc__)
    use_threads(a.threads)
    g, repeats = torch.Generator().manual_seed(0), 1 if a.quick else a.repeats
    scene, refiner, rows = decoder(g), LatentRefiner(), list[dict[str, Any]]()
    for count in (1, 16):
        information = torch.diag(torch.tensor([0.3] * 3 + [0.2] * 3, dtype=torch.float64) ** -2).repeat(count, 1, 1)
        start = Hypotheses(drawn(count, g), torch.zeros(count), information)
        ways = {
            "general": lambda start=start: general(scene, start),
            "latent": lambda start=start: refiner.refine(scene, PHOTO, start),
        }
        rows += measured(f"refinement of {count}", ways, repeats)
    poses = drawn(100 if a.quick else a.poses, g)
    poses = SE3(poses.R.float(), poses.t.float())
    scores = {"latents": lambda: by_latents(scene, poses), "features": lambda: scene.distance2(PHOTO, poses)}
    rows += measured(f"scoring {len(poses)}", scores, repeats)
    save(a.out, "latent_speed", a, rows)
    print(table(rows, COLUMNS))
    return rows


if __name__ == "__main__":
    main()
