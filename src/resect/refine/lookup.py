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

_CHUNK = 256


@dataclass(frozen=True)
class LookupSettings:
    """How finely to look.

    Attributes:
        side: size, pixels of the longer side, of the grid that is looked up.
        pitch_deg: largest distance of neighbouring rotations; a third of the spread where that is less.
        pixels_per_deg: of the wide picture.
        offset: further places, in both directions along each axis, as a part of the translation's spread; 0 for none.
        corner: the same for the eight corners of a cube, where the spread is wider than `corner_from`.
        corner_from: part of the length.
        keep: best rotations of each place.
    """

    side: int = 20
    pitch_deg: float = 8.0
    pixels_per_deg: float = 0.4
    offset: float = 0.65
    corner: float = 0.6
    corner_from: float = 0.15
    keep: int = 3


def lookup(
    view: View, start: SE3, turn_rad: float, shift: float, settings: LookupSettings, length: float
) -> tuple[SE3, Float[Tensor, "k"]]:
    """The best poses around one, and the agreement of the looked-up colours.

    Args:
        view: the size at which the photo is compared.
        start: one pose, without a batch dimension.
        turn_rad: largest turn.
        shift: spread of each coordinate of the camera's centre, world units.
        length: distance of what is seen, world units.
    """
    pivots = _places(start, shift, settings, shift > settings.corner_from * length)
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
    turns = rotation_lattice(turn_rad, min(math.radians(settings.pitch_deg), turn_rad / 3)).to(seen)
    scores = _scores(view, planes, wide, turns)
    best = scores.topk(min(settings.keep, scores.shape[1]), dim=1)
    poses = [
        SE3(turns[k].mT @ pivots.R[p], (turns[k].mT @ pivots.t[p, :, None])[:, 0])
        for p in range(len(pivots))
        for k in best.indices[p].tolist()
    ]
    return SE3.stack(poses), best.values.flatten()


def _scores(view: View, planes: Tensor, wide: Camera, turns: Tensor) -> Tensor:
    """(places, turns) agreement: a ray d of the turned camera lies along R d in the camera of the wide picture."""
    places, channels = planes.shape[:2]
    rays = view.camera.rays(view.pixels()).to(planes)
    stacked = planes.flatten(0, 1)[None]
    parts = []
    for some in turns.split(_CHUNK):
        pixels, _ = wide.project(rays @ some.mT)
        flat = sample(stacked, pixels.reshape(1, -1, 2), wide).reshape(len(some), len(rays), places, channels)
        parts.append(colour_agreement(view, flat.permute(2, 0, 1, 3).flatten(0, 1)).unflatten(0, (places, len(some))))
    return torch.cat(parts, 1)


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


def _places(start: SE3, shift: float, settings: LookupSettings, corners: bool) -> SE3:
    """The pose, and the pose with its centre moved along the camera's axes and diagonals."""
    steps = [torch.zeros(1, 3)]
    if settings.offset > 0:
        steps += [settings.offset * shift * torch.eye(3), -settings.offset * shift * torch.eye(3)]
    if corners:
        sign = torch.tensor([-1.0, 1.0])
        steps.append(settings.corner * shift * torch.cartesian_prod(sign, sign, sign))
    every = torch.cat(steps).to(start.t)
    return SE3(start.R.expand(len(every), 3, 3), start.t + every)
