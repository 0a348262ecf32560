"""Eight crops that a tiny network learns in seconds: stripes whose direction and colour tell the viewpoint."""

import math
import tempfile
from functools import cache
from pathlib import Path

import torch

from resect.data.image import png_bytes
from resect.data.view_list import ViewList, read_views, write_views
from resect.priors.viewpoint.fit import fit
from resect.priors.viewpoint.prior import Viewpoint
from resect.priors.viewpoint.settings import ViewpointSettings
from resect.types import Photo

COUNT, SIDE = 8, 32
TINY = ViewpointSettings(
    encoder_width=4,
    side=SIDE,
    hidden=32,
    dropout=0.1,
    bins=16,
    mirror=True,
    batch=8,
    steps=60,
    rate=5e-3,
    tensorboard=False,
)


def picture(k: int) -> torch.Tensor:
    at = torch.linspace(-1, 1, SIDE)
    y, x = torch.meshgrid(at, at, indexing="ij")
    turn = 2 * math.pi * (k + 0.5) / COUNT
    # Flipped, the picture is that of the negative turn, as a mirrored object's would be.
    wave = (4 * (x * math.sin(turn) + y * math.cos(turn))).sin()
    shades = torch.stack([0.5 + 0.5 * x * math.sin(turn), 0.5 + 0.5 * y * math.cos(turn), 0.5 + 0.4 * wave], -1)
    return (shades.clamp(0, 1) * 255).round().byte()


def pattern(k: int) -> Photo:
    return Photo(f"{k}.png", picture(k).float() / 255)


@cache
def crops() -> ViewList:
    folder = Path(tempfile.mkdtemp(prefix="resect-crops-"))
    names = [f"{k}.png" for k in range(COUNT)]
    for k, name in enumerate(names):
        (folder / name).write_bytes(png_bytes(picture(k)))
    azimuth = 2 * math.pi * (torch.arange(COUNT, dtype=torch.float64) + 0.5) / COUNT
    viewpoint = torch.stack([azimuth, torch.full((COUNT,), 0.3).double(), torch.zeros(COUNT).double()], -1)
    write_views(folder / "views.txt", ["thing/1"] * COUNT, names, viewpoint, torch.full((COUNT, 1), 2.0))
    return read_views(folder)


@cache
def network() -> Viewpoint:
    return fit(crops(), TINY)
