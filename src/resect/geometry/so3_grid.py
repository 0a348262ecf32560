"""A grid on SO(3): 72 · 8^level cells of exactly equal volume, each cut into eight by the next level.

A rotation R = Ry(α) Rx(β) Ry(γ) is the direction R y, azimuth α and colatitude β, on the HEALPix sphere, and a tilt. A
cell is a pixel times a step of tilt. Cells are nested: the children of cell i are 8 i + k, k = 0 … 7.

The tilt is γ + s α with s = 1 on the four faces about the north pole, −1 on those about the south pole, else 0. Equal
steps of γ itself give the same volumes, but pixels at a pole span a quarter of all azimuths, and so would their cells.
With s, the frame turns along a pixel by at most its width, and every cell is compact: a search that goes down from
coarse cells stays near what it looks for. Tilts are cell middles, (t + ½) 60° / 2^level.

    level     0    1     2     3      4       5          6
    cells    72  576  4608  36864  294912  2359296  18874368
    spacing  60°  30°  15°   7.5°   3.75°   1.875°    0.94°

Reference: Yershova, Jain, LaValle and Mitchell, "Generating uniform incremental grids on SO(3) using the Hopf
fibration", IJRR 2010, from which the tilt's offsets differ as said above (there s = 1 everywhere).
"""

import functools
import math
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

from resect.geometry import harmonics, healpix, so3
from resect.geometry.healpix import checked_level

LOG_PI2 = 2 * math.log(math.pi)
"""Log-likelihoods in the field's measure, of total π², are those of Haar measure of total 1 less this 2.2895."""


def cell_count(level: int) -> int:
    """72 · 8^level."""
    return 72 << 3 * checked_level(level)


def spacing_rad(level: int) -> float:
    """Step of the tilt, about the distance of neighbouring middles: 60° / 2^level."""
    return math.pi / 3 / 2 ** checked_level(level)


def to_chart(rotation: Float[Tensor, "*b 3 3"]) -> tuple[Int[Tensor, "*b"], Float[Tensor, "*b 3"]]:
    """The base cell (0 … 71) of a rotation and its place in the unit cube there; volumes are kept; float64."""
    alpha, _, gamma = harmonics.to_angles(rotation.double())
    face, place = healpix.to_face(rotation[..., 1].double())
    tilt = ((gamma + _twist(face) * alpha) * (3 / math.pi)) % 6
    step = tilt.floor().clamp_max(5)
    return face * 6 + step.long(), torch.cat([place, (tilt - step)[..., None]], -1)


def from_chart(base: Int[Tensor, "*b"], place: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotations at places in base cells' unit cubes; float64, inverse of `to_chart`."""
    face = torch.div(base, 6, rounding_mode="floor")
    direction = healpix.from_face(face, place[..., :2])
    tilt = (base % 6 + place[..., 2].double()) * (math.pi / 3)
    return _fibre(direction, face) @ harmonics.about_y(tilt)


def cell_of(rotation: Float[Tensor, "*b 3 3"], level: int) -> Int[Tensor, "*b"]:
    """The cell that holds a rotation."""
    base, place = to_chart(rotation)
    step = (place * 2 ** checked_level(level)).long().clamp_max(2**level - 1)
    return base << 3 * level | healpix.interleave(step, level)


def cell_center(cell: Int[Tensor, "*b"], level: int | Int[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """Rotations at the middles of cells, float64; each cell may be of a level of its own."""
    return at(cell, level, torch.full((*cell.shape, 3), 0.5, dtype=torch.float64, device=cell.device))


def at(
    cell: Int[Tensor, "*b"], level: int | Int[Tensor, "*b"], place: Float[Tensor, "*b 3"]
) -> Float[Tensor, "*b 3 3"]:
    """Rotations at places in the unit cubes of cells, float64; uniform places give uniform rotations."""
    # An int stays one: as a tensor it would have to be brought to the device, and back.
    deepest = level if isinstance(level, int) else int(level.max()) if level.numel() else 0
    step = healpix.deinterleave(cell & ((1 << 3 * level) - 1), checked_level(deepest), 3)
    parts = 2.0**level if isinstance(level, int) else 2.0 ** level[..., None]
    return from_chart(cell >> 3 * level, (step + place.double()) / parts)


def children(cell: Int[Tensor, "*b"]) -> Int[Tensor, "*b 8"]:
    """The eight cells of the next level that a cell is cut into."""
    return cell[..., None] * 8 + torch.arange(8, device=cell.device)


def cells_around(rotation: Float[Tensor, "*b 3 3"], level: int, reach: float = 0.6) -> Int[Tensor, "*b 27"]:
    """Cells that hold a rotation and those moved from it by up to `reach` spacings along three axes; may repeat."""
    steps = torch.tensor(list(product((0, -1, 1), repeat=3)), dtype=torch.float64, device=rotation.device)
    moved = rotation.double()[..., None, :, :] @ so3.exp(steps * (reach * spacing_rad(level)))
    return cell_of(moved, level)


def nearest(rotation: Float[Tensor, "*b 3 3"], level: int) -> Int[Tensor, "*b"]:
    """The cell whose middle is nearest (of greatest trace): mostly, but not always, the one that holds the rotation."""
    cells = cells_around(rotation, level)
    trace = torch.einsum("...ij,...kij->...k", rotation.double(), cell_center(cells, level))
    return cells.gather(-1, trace.argmax(-1, keepdim=True))[..., 0]


def fibres(level: int) -> tuple[Float[Tensor, "p 3 3"], Float[Tensor, "t"], Int[Tensor, "p t"]]:
    """The middles of all cells as products, start · Ry(tilt), for `so3_waves.evaluate_on_fibres`.

    Returns:
        Starts, one a pixel; tilts in radians; and which cell each pair is. All float64, on the CPU.
    """
    pixel = torch.arange(healpix.pixel_count(level))
    face = pixel >> 2 * level
    starts = _fibre(healpix.pixel_center(pixel, level), face)
    index = torch.arange(6 << level)
    step = torch.stack([index & 0, index & 0, index & (1 << level) - 1], -1)
    low = healpix.interleave(step, level) + ((index >> level) << 3 * level)
    within = healpix.deinterleave(pixel & (4**level - 1), level, 2)
    high = healpix.interleave(torch.nn.functional.pad(within, (0, 1)), level) + (face * 6 << 3 * level)
    return starts, (index.double() + 0.5) * spacing_rad(level), high[:, None] + low


def fibre_of(cell: Int[Tensor, "*b"], level: int) -> tuple[Int[Tensor, "*b"], Int[Tensor, "*b"]]:
    """Which start and which tilt of `fibres` the middles of cells are."""
    base, within = cell >> 3 * level, cell & (1 << 3 * level) - 1
    pixel, tilt = _within(checked_level(level), cell.device)
    face = torch.div(base, 6, rounding_mode="floor")
    return (face << 2 * level) + pixel[within], ((base - 6 * face) << level) + tilt[within]


def published_grid(level: int) -> Float[Tensor, "n 3 3"]:
    """The rotations that Implicit-PDF's and Image2Sphere's code use, in their order; float64.

    Pixels in ring order, then tilts γ = 60° t / 2^level, tilts the slower index; the same count as this grid.
    """
    direction = healpix.ring_centers(1 << checked_level(level))
    gamma = torch.arange(6 << level, dtype=torch.float64) * spacing_rad(level)
    alpha = torch.atan2(direction[:, 0], direction[:, 2])
    beta = torch.atan2(torch.hypot(direction[:, 0], direction[:, 2]), direction[:, 1])
    return harmonics.from_angles(*torch.broadcast_tensors(alpha, beta, gamma[:, None])).flatten(0, 1)


@functools.cache
def _within(level: int, device: torch.device) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    """Pixel and tilt, counted in its base cell, of each of a base cell's 8^level cells."""
    with torch.inference_mode(False), torch.no_grad():
        step = healpix.deinterleave(torch.arange(8**level), level, 3)
        return healpix.interleave(step[:, :2], level).to(device), step[:, 2].contiguous().to(device)


def _twist(face: Int[Tensor, "*b"]) -> Int[Tensor, "*b"]:
    """S of a face: how often the tilt's zero turns with the azimuth."""
    return 1 - torch.div(face, 4, rounding_mode="floor")


def _fibre(direction: Float[Tensor, "*b 3"], face: Int[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """The rotations of tilt 0 that take y to a direction."""
    alpha = torch.atan2(direction[..., 0], direction[..., 2])
    beta = torch.atan2(torch.hypot(direction[..., 0], direction[..., 2]), direction[..., 1])
    return harmonics.from_angles(alpha, beta, -_twist(face) * alpha)
