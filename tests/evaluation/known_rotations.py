"""A set of pictures whose level of grey is their number, and a network that knows the rotation of each."""

from functools import cache

import torch
from torch import Tensor, nn

from resect.data.rotation_set import RotationSet
from resect.geometry import so3, so3_grid
from resect.geometry.camera import Camera
from resect.priors.rotations.prior import RotationPrior
from resect.priors.rotations.settings import RotationSettings
from resect.priors.rotations.view import look
from resect.types import Photo, Target

COUNT, SHARPNESS = 4, 40.0
CAMERA = Camera(80.0, 80.0, 30.0, 30.0, 60, 60)
BOX = (34.0, 4.0, 54.0, 24.0)  # beside the middle: the picture's camera is turned
ROTATION = so3.random(COUNT, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
HALF_TURN = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))


def photo(index: int) -> Photo:
    image = torch.full((60, 60, 3), index / 10)
    return Photo(f"{index}.png", image, CAMERA, target=Target("x", category="ab"[index % 2], box=BOX))


def known_set(*, symmetric: bool = False) -> RotationSet:
    categories = tuple("ab"[i % 2] for i in range(COUNT))
    equivalents = (lambda i: torch.stack([ROTATION[i], ROTATION[i] @ HALF_TURN])) if symmetric else None
    names = tuple(f"{i}.png" for i in range(COUNT))
    return RotationSet("known", names, categories, ROTATION, photo, equivalents=equivalents)


class Knowing(nn.Module):
    """f(R) = sharpness · tr(Rᵀ R_true), summed over equivalents as densities; off by a turn if asked."""

    def __init__(self, symmetric: bool, off: Tensor) -> None:
        super().__init__()
        self.symmetric = symmetric
        turned = look(photo(0), 16).turn @ off @ ROTATION
        self.register_buffer("truth", turned.flatten(1))

    def code(self, picture: Tensor, label: Tensor | None = None) -> Tensor:
        return self.truth[(picture.mean((1, 2, 3)) * 10).round().long()]

    def logits(self, code: Tensor, rotation: Tensor) -> Tensor:
        truth = code.view(3, 3)
        both = torch.stack([truth, truth @ HALF_TURN]) if self.symmetric else truth[None]
        return (SHARPNESS * rotation.flatten(1) @ both.flatten(1).mT).logsumexp(1)

    def on_level(self, code: Tensor, level: int) -> Tensor:
        cells = _cells(level)
        return torch.stack([self.logits(c, cells) for c in code])


@cache
def _cells(level: int) -> Tensor:
    return so3_grid.cell_center(torch.arange(so3_grid.cell_count(level)), level)


def knowing(*, symmetric: bool = False, off_deg: float = 0.0) -> RotationPrior:
    off = so3.exp(torch.tensor([off_deg, 0.0, 0.0], dtype=torch.float64).deg2rad())
    settings = RotationSettings(side=16, density_level=4)
    return RotationPrior("image2sphere", Knowing(symmetric, off), settings, ("a", "b"))
