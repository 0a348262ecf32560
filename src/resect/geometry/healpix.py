"""HEALPix: the sphere in 12 · 4^level pixels of equal area, each cut into four by the next level (nested order).

Twelve faces are squares in an equal-area chart: `to_face` and `from_face` are that chart, and a pixel is a small square
of it. So a point that is uniform in a pixel's square is uniform in the pixel. The pole is **y**, as in
`geometry/harmonics`: azimuth is atan2(x, z), height is y.

Reference: Górski et al., "HEALPix: a framework for high-resolution discretization", ApJ 622 (2005), sections 4 and 5.
"""

import functools
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.errors import ResectError

MAX_LEVEL = 12  # steps of 0.015°; 72 · 8¹² cells of rotations
_COLUMN = (1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7)  # longitude of a face's middle, in 45°
_ROW = (2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4)  # height of a face's lower corner


def pixel_count(level: int) -> int:
    """12 · 4^level."""
    return 12 << 2 * checked_level(level)


def to_face(direction: Float[Tensor, "*b 3"]) -> tuple[Int[Tensor, "*b"], Float[Tensor, "*b 2"]]:
    """The face (0 … 11) that a unit vector lies in, and its place (x, y) in the face's unit square; float64."""
    sine, height, cosine = direction.double().unbind(-1)
    longitude = (torch.atan2(sine, cosine) * (2 / math.pi)) % 4  # in quarters
    rising, falling = 0.5 + longitude - 0.75 * height, 0.5 + longitude + 0.75 * height
    up, down = rising.floor(), falling.floor()
    face = torch.where(up == down, up % 4 + 4, torch.where(up < down, up % 4, down % 4 + 8)).long()
    belt = torch.stack([falling - down, 1 - (rising - up)], -1)

    quarter = longitude.floor().clamp_max(3)
    along = longitude - quarter
    gap = (3 * (sine * sine + cosine * cosine) / (1 + height.abs())).sqrt()  # 3 (1 − |height|), exact at the poles
    far, near = gap * along, gap * (1 - along)
    north = height > 0
    cap = torch.where(north[..., None], torch.stack([1 - near, 1 - far], -1), torch.stack([far, near], -1))
    in_cap = height.abs() > 2 / 3
    face = torch.where(in_cap, quarter.long() + torch.where(north, 0, 8), face)
    return face, torch.where(in_cap[..., None], cap, belt).clamp(0, 1)


def from_face(face: Int[Tensor, "*b"], place: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 3"]:
    """Unit vectors of places in faces' unit squares; float64, inverse of `to_face`."""
    x, y = place.double().unbind(-1)
    columns, rows = _corners(face.device)
    column, row = columns[face], rows[face] - x - y  # from the north pole, 0 … 4
    width = torch.minimum(row, 4 - row).clamp(0, 1)  # of the ring, part of the equator's
    cap = 1 - width * width / 3
    height = torch.where(row < 1, cap, torch.where(row > 3, -cap, (2 - row) * (2 / 3)))
    azimuth = (math.pi / 4) * (column + (x - y) / width.clamp_min(1e-300))
    across = torch.where(width < 1, width * ((1 + cap) / 3).sqrt(), (1 - height * height).clamp_min(0).sqrt())
    return torch.stack([across * azimuth.sin(), height, across * azimuth.cos()], -1)


@functools.cache
def _corners(device: torch.device) -> tuple[Float[Tensor, "12"], Float[Tensor, "12"]]:
    with torch.inference_mode(False), torch.no_grad():
        return tuple(torch.tensor(c, dtype=torch.float64, device=device) for c in (_COLUMN, _ROW))  # type: ignore[return-value]


def pixel_of(direction: Float[Tensor, "*b 3"], level: int) -> Int[Tensor, "*b"]:
    """The nested number of the pixel that holds a unit vector."""
    face, place = to_face(direction)
    step = (place * 2 ** checked_level(level)).long().clamp_max(2**level - 1)
    return face << 2 * level | interleave(step, level)


def pixel_center(pixel: Int[Tensor, "*b"], level: int) -> Float[Tensor, "*b 3"]:
    """Unit vectors of the middles of pixels, float64."""
    face = pixel >> 2 * checked_level(level)
    step = deinterleave(pixel & (4**level - 1), level, 2)
    return from_face(face, (step.double() + 0.5) / 2**level)


def ring_centers(side: int) -> Float[Tensor, "p 3"]:
    """Middles of all 12 side² pixels in ring order (north to south, then by azimuth), float64; any side."""
    ring = torch.arange(1, 4 * side)
    polar = torch.minimum(ring, 4 * side - ring).clamp_max(side)  # a quarter of the ring's pixels
    height = torch.where(
        polar < side, 1 - polar.double() ** 2 / (3 * side**2), (4 / 3 - 2 * ring.double() / (3 * side))
    )
    height = torch.where((ring > 2 * side) & (polar < side), -height, height)
    shift = torch.where((polar < side) | ((ring - side) % 2 == 0), 0.5, 0.0).double()
    of = torch.arange(len(ring)).repeat_interleave(4 * polar)
    step = torch.arange(len(of)) - (4 * polar).cumsum(0)[of] + 4 * polar[of]
    azimuth = (step + shift[of]) * (math.pi / 2) / polar[of]
    across = (1 - height * height).sqrt()[of]
    return torch.stack([across * azimuth.sin(), height[of], across * azimuth.cos()], -1)


def interleave(steps: Int[Tensor, "*b n"], level: int) -> Int[Tensor, "*b"]:
    """One number from the lowest `level` bits of n numbers: bit b of number k becomes bit n b + k."""
    n = steps.shape[-1]
    shift = torch.arange(n, device=steps.device)
    found = torch.zeros_like(steps[..., 0])
    for bit in range(level):
        found |= ((steps >> bit & 1) << (n * bit + shift)).sum(-1)
    return found


def deinterleave(number: Int[Tensor, "*b"], level: int, n: int) -> Int[Tensor, "*b n"]:
    """Inverse of `interleave`."""
    shift = torch.arange(n, device=number.device)
    found = torch.zeros(*number.shape, n, dtype=number.dtype, device=number.device)
    for bit in range(level):
        found |= (number[..., None] >> (n * bit + shift) & 1) << bit
    return found


def checked_level(level: int) -> int:
    """The level, if there is such a one."""
    if not 0 <= level <= MAX_LEVEL:
        raise ResectError("grid level", f"0 to {MAX_LEVEL}", str(level))
    return level
