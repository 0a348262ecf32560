"""A refiner that knows the truth: it finds the pose from any guess within its reach, with noise it states."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Estimate, Hypotheses, Photo, Status

SIGMA = torch.tensor([0.004, 0.004, 0.02, 0.01, 0.01, 0.01], dtype=torch.float64)
CAMERA = Camera(100.0, 100.0, 32.0, 24.0, 64, 48)


@dataclass(frozen=True, eq=False)
class Box:
    """A scene of which only the bounds are asked for."""

    bounds: Tensor = field(default_factory=lambda: torch.tensor([[-0.5, -0.5, -0.5], [0.5, 0.5, 0.5]]))


@dataclass(eq=False)
class Sensor:
    """Attributes:
    truth: of each photo, whose name is its number.
    blind: photos in which nothing is seen.
    fooled: photos in which a wrong pose is seen, this far off.
    twofold: whether the object also looks the same from behind.
    one: whether only one of such two poses is stated, now this one, now that.
    """

    truth: SE3
    blind: frozenset[int] = frozenset()
    fooled: frozenset[int] = frozenset()
    twofold: bool = False
    one: bool = False
    reach_deg: float = 10.0
    reach: float = 0.4
    asked: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def refine(self, scene: object, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        k = int(photo.name)
        self.asked.append((k, hypotheses.source))
        if k in self.blind:
            return Estimate(Status.NO_AGREEMENT)
        true = self.truth[k]
        guess = hypotheses.cam_from_world.double()
        turn = so3.angle(guess.R, true.R.expand_as(guess.R))
        turn = torch.minimum(turn, math.pi - turn) if self.twofold else turn
        near = (turn < math.radians(self.reach_deg)) & ((guess.t - true.t).norm(dim=-1) < self.reach)
        if not bool(near.any()):
            return Estimate(Status.NOT_CONVERGED)
        g = torch.Generator().manual_seed(k)
        seen = SE3.exp(SIGMA * torch.randn(6, generator=g, dtype=torch.float64)) @ true
        if k in self.fooled:
            seen = SE3(seen.R, seen.t + 0.8)
        modes = [seen]
        if self.twofold:
            behind = SE3(so3.exp(torch.tensor([0.0, 0.0, math.pi], dtype=torch.float64)), torch.zeros(3).double())
            modes = [seen @ behind, seen] if not self.one else [(seen, seen @ behind)[k % 3 == 0]]
        poses = SE3.stack(modes)
        information = torch.diag(SIGMA**-2.0).expand(len(modes), 6, 6)
        weight = torch.tensor([0.6, 0.4])[: len(modes)].log()
        return Estimate(Status.OK, Hypotheses(poses, weight, information.contiguous()))


def orbit(count: int, turn_deg: float = 90.0) -> SE3:
    """`cam_from_world` of a camera that walks around an object 3 units away, rising a little."""
    from resect.geometry.look_at import look_at

    a = torch.linspace(0, math.radians(turn_deg), count, dtype=torch.float64)
    centers = torch.stack([3 * a.cos(), 3 * a.sin(), 1 + 0.3 * (2 * a).sin()], -1)
    return look_at(centers, torch.zeros(count, 3, dtype=torch.float64))


def photo(k: int) -> Photo:
    return Photo(str(k), torch.zeros(48, 64, 3), CAMERA, "test")


def start(pose: SE3) -> Hypotheses:
    return Hypotheses(pose[None], torch.zeros(1), source=("given",))
