"""What the benchmarks of regressors measure among latents: gains, ranks, and the time that scoring takes."""

from dataclasses import dataclass
from statistics import median as middle
from typing import Any

import torch
from record import Stopwatch

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.metrics.pose import scene_scale
from resect.priors.posenet.prior import PoseNet
from resect.scenes.pose_decoder.scene import PIXEL
from resect.types import Hypotheses, Photo, PhotoSet, Split

SOLVED = (5.0, 0.05)  # degrees; of the scene's scale


@dataclass(frozen=True, eq=False)
class Inverted:
    """A prior: a teacher's guesses, refined among latents."""

    teacher: PoseNet
    scene: Any
    refiner: Any

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        guess = self.teacher.propose(photo, count, generator)
        return self.refiner.refine(self.scene, photo, guess).modes or guess


def gain(before: torch.Tensor, after: torch.Tensor) -> dict[str, Any]:
    """Relative gain of the median and its interval."""
    g = torch.Generator().manual_seed(0)
    i = torch.randint(len(before), (2000, len(before)), generator=g)
    middle_gain = (before - after)[i].median(1).values / before[i].median(1).values
    low, high = middle_gain.quantile(torch.tensor([0.05, 0.95], dtype=middle_gain.dtype)).tolist()
    return {"gain": float((before - after).median() / before.median()), "gain_interval": [low, high]}


def ranks(scene: Any, known: SE3, photos: PhotoSet, split: Split, unit: float, count: int = 10_000) -> dict[str, Any]:
    """Where the true pose and those next to it stand among 10 000, and what scoring them takes."""
    g = torch.Generator().manual_seed(0)
    i = torch.randint(len(known), (count,), generator=g)
    sigma = torch.cat([torch.full((3,), 0.3 * unit), torch.deg2rad(torch.full((3,), 15.0))]).double()
    poses = known[i].retract(torch.randn(count, 6, generator=g, dtype=torch.float64) * sigma)
    size = scene_scale(known)
    poses, better, near, ms = SE3(poses.R.float(), poses.t.float()), [], [], []
    for k in split.test:
        photo = photos[k]
        truth = photos.truth.cam_from_world[k : k + 1]
        own = scene.distance2(photo, SE3(truth.R.float(), truth.t.float()))
        with Stopwatch() as looked:
            scene.observe(photo, PIXEL)
        with Stopwatch() as spent:
            others = scene.distance2(photo, poses)
        ms.append(1000 * (spent.wall - looked.wall))
        better.append(float((others < own).float().mean()))
        close = (poses.center - truth.center).norm(dim=-1) < SOLVED[1] * size
        close &= so3.angle(poses.R.double(), truth.R.double().expand_as(poses.R)).rad2deg() < SOLVED[0]
        best = torch.cat([own, others[close]]).min()
        near.append(float((others < best).float().mean()))
    first, nearby = (sum(b < 0.01 for b in found) for found in (better, near))
    return {"best_1_percent": first, "neighbourhood_best_1_percent": nearby, "score_10000_ms": middle(ms)}
