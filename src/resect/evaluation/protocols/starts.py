"""Starts made from the truth by a named perturbation: which frame, which pivot, which distribution, which seed."""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.types import Hypotheses


@dataclass(frozen=True, eq=False)
class Start:
    """One trial: a photo and where its search begins.

    Attributes:
        photo: index in the photo set.
        number: which start of this photo.
        cam_from_world: float64; the first is the start, any others are the protocol's own further hypotheses.
    """

    photo: int
    number: int
    cam_from_world: SE3

    @property
    def label(self) -> str:
        """What stands in the target column of the Pose file."""
        return f"start:{self.number}"

    def hypotheses(self) -> Hypotheses:
        """What a refiner is given; its source says that the truth was used."""
        count = len(self.cam_from_world)
        weight = torch.full((count,), -math.log(count))
        return Hypotheses(self.cam_from_world.float(), weight, source=(f"oracle:{self.number}",) * count)


def turned_and_shifted(truth: SE3, turn: Float[Tensor, "*b 3"], shift: Float[Tensor, "*b 3"]) -> SE3:
    """Turned about the camera's own centre, then moved: turns do not move the camera, shifts do not turn it.

    Args:
        truth: `cam_from_world`.
        turn: rotation vector in the camera's frame, radians.
        shift: of the centre, along the world's axes, world units.
    """
    rotation = so3.exp(turn) @ truth.R
    center = truth.center + shift
    return SE3(rotation, -(rotation @ center[..., None])[..., 0])


def turned_in_world(truth: SE3, turn: Float[Tensor, "*b 3 3"], shift: Float[Tensor, "*b 3"]) -> SE3:
    """The same with the rotation along the world's axes: world_from_cam.R becomes turn @ world_from_cam.R."""
    rotation = truth.R @ turn.mT
    center = truth.center + shift
    return SE3(rotation, -(rotation @ center[..., None])[..., 0])


def euler_zyx(psi: Tensor, theta: Tensor, phi: Tensor) -> Tensor:
    """Rz(φ) Ry(θ) Rx(ψ), angles in radians."""
    zero = torch.zeros_like(phi)
    rx, ry, rz = (so3.exp(torch.stack(v, -1)) for v in ((psi, zero, zero), (zero, theta, zero), (zero, zero, phi)))
    return rz @ ry @ rx


def directions(count: int, generator: torch.Generator) -> Float[Tensor, "n 3"]:
    """Unit vectors, uniform on the sphere."""
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1)


def uniform(low: float, high: float, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Float64 numbers in [low, high)."""
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def photo_generator(seed: int, name: str) -> torch.Generator:
    """Randomness of one photo, which no other photo and no order changes."""
    # The CPU generator looks at the low 32 bits of its seed only, so both go into one hash of that size.
    return torch.Generator().manual_seed(zlib.crc32(f"{seed}:{name}".encode()))
