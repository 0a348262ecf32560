"""Thousands of rotations from one render: a wide picture around a place, read at every rotation of a lattice.

The picture is azimuthal-equidistant (a fisheye camera without distortion), wide enough to hold the photo's field of
view at the largest turn; a photo-shaped grid of directions is turned by each rotation and looked up in it.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.refine.agreement import colour_agreement
from resect.refine.linearize import channel_of
from resect.refine.view import View
from resect.refine.warp import sample

_CHUNK = 2048


@dataclass(frozen=True)
class LookupSettings:
    """How finely to look.

    Attributes:
        pitch_deg: distance of neighbouring rotations.
        pixels_per_deg: of the wide picture.
        offset: further places, in both directions along each axis, as a part of the translation's spread; 0 for none.
        keep: best rotations of each place.
    """

    pitch_deg: float = 8.0
    pixels_per_deg: float = 0.4
    offset: float = 0.65
    keep: int = 3


def lookup(
    view: View, start: SE3, turn_rad: float, shift: float, settings: LookupSettings
) -> tuple[SE3, Float[Tensor, "k"]]:
    """The best poses around one, and the agreement of the looked-up colours.

    Args:
        view: the size at which the photo is compared.
        start: one pose, without a batch dimension.
        turn_rad: largest turn.
        shift: spread of each coordinate of the camera's centre, world units.
    """
    pivots = _places(start, settings.offset * shift)
    wide = wide_camera(view.camera, turn_rad, settings.pixels_per_deg)
    pixels = wide.pixels().to(view.observed)
    middle = torch.tensor([wide.cx, wide.cy]).to(pixels)
    used = ((pixels - middle).norm(dim=1) <= wide.cx + 1).nonzero()[:, 0]
    view.meter.rays += len(pivots) * len(used)
    view.meter.images += len(pivots) * len(used) / view.full
    seen = channel_of(view.scene.render(wide, pivots, (view.channel,), pixels[used]), view.channel)
    pictures = torch.zeros(len(pivots), len(pixels), seen.shape[-1]).to(seen)
    pictures[:, used] = seen
    planes = pictures.mT.unflatten(2, (wide.height, wide.width))
    turns = rotation_lattice(turn_rad, math.radians(settings.pitch_deg)).to(seen)
    rays = view.camera.rays(view.pixels()).to(seen)
    scores = torch.stack([_scores(view, planes[p : p + 1], wide, turns, rays) for p in range(len(pivots))])
    best = scores.topk(min(settings.keep, scores.shape[1]), dim=1)
    poses = [
        SE3(turns[k].mT @ pivots.R[p], (turns[k].mT @ pivots.t[p, :, None])[:, 0])
        for p in range(len(pivots))
        for k in best.indices[p].tolist()
    ]
    return SE3.stack(poses), best.values.flatten()


def _scores(view: View, planes: Tensor, wide: Camera, turns: Tensor, rays: Tensor) -> Tensor:
    """Agreement of each turn: a ray d of the turned camera lies along R d in the camera that took the wide picture."""
    parts = []
    for some in turns.split(_CHUNK):
        pixels, _ = wide.project(rays @ some.mT)
        flat = sample(planes, pixels.reshape(1, -1, 2), wide)
        parts.append(colour_agreement(view, flat.reshape(len(some), len(rays), -1)))
    return torch.cat(parts)


def wide_camera(camera: Camera, turn_rad: float, pixels_per_deg: float) -> Camera:
    """The equidistant camera that holds `camera`'s view at every turn up to `turn_rad`, at most all directions."""
    corners = torch.tensor([[0.0, 0.0], [1, 0], [0, 1], [1, 1]], dtype=torch.float64)
    rays = camera.rays(corners * torch.tensor([camera.width, camera.height]))
    reach = min(turn_rad + float(torch.atan2(rays[:, :2].norm(dim=1), rays[:, 2]).max()), math.radians(178.0))
    side = 2 * math.ceil(math.degrees(reach) * pixels_per_deg) + 1
    focal = pixels_per_deg * 180 / math.pi
    return Camera(focal, focal, side / 2, side / 2, side, side, "fisheye")


def rotation_lattice(largest_rad: float, pitch_rad: float) -> Float[Tensor, "k 3 3"]:
    """Rotations whose rotation vectors lie on a cubic lattice within a ball; the identity is one of them."""
    count = int(min(largest_rad, math.pi) / pitch_rad)
    line = torch.arange(-count, count + 1) * pitch_rad
    vectors = torch.cartesian_prod(line, line, line)
    return so3.exp(vectors[vectors.norm(dim=1) <= min(largest_rad, math.pi) + 1e-6])


def _places(start: SE3, offset: float) -> SE3:
    """The pose, and the pose with its centre moved along each axis of the camera."""
    steps = torch.zeros(1, 3).to(start.t)
    if offset > 0:
        axes = offset * torch.eye(3).to(start.t)
        steps = torch.cat([steps, axes, -axes])
    return SE3(start.R.expand(len(steps), 3, 3), start.t + steps)
