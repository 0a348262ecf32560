"""HEALPix against healpy 1.20: its numbers are stored, and where it is installed it is asked for many more."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from resect.errors import ResectError
from resect.geometry import healpix

NESTED = {
    0: "3 1 0 2 1 3 6 0 7 1 4 6 5 7 6 8 7 9 11 10 8 11 9 8",
    1: "15 7 2 9 6 13 27 0 31 4 19 25 22 29 24 35 28 38 45 42 33 46 36 32",
    5: "4023 1868 719 2481 1678 3458 7121 110 7997 1074 4897 6494 5709 7490 6334 9133 7330 9969 11726 10909 8594 11815 "
    "9338 8329",
    12: "65916121 30606522 11783809 40655600 27497814 56666714 116681062 1812074 131032473 17603237 80239017 106404181 "
    "93541977 122721637 103787113 149645718 120104602 163341734 192125610 178739798 140813544 193584866 152996678 "
    "136463081",
}
PIXELS = [0, 17, 100, 300, 500, 700]  # of side 8, nested
COLATITUDE = [1.487366240184, 1.047197551197, 0.947969741383, 1.487366240184, 1.318116071653, 1.823476581937]
LONGITUDE = [0.785398163397, 1.276272015521, 2.159844949343, 5.890486225481, 4.908738521234, 3.926990816987]


def lattice(count: int = 24) -> Tensor:
    """Fibonacci's, in our axes: healpy's z is our y, its x our z."""
    i = torch.arange(count, dtype=torch.float64) + 0.5
    z, phi = 1 - 2 * i / count, math.pi * (1 + math.sqrt(5)) * i
    rho = (1 - z * z).sqrt()
    return torch.stack([rho * phi.sin(), z, rho * phi.cos()], -1)


def ours(theta: Tensor, phi: Tensor) -> Tensor:
    return torch.stack([theta.sin() * phi.sin(), theta.cos(), theta.sin() * phi.cos()], -1)


@pytest.mark.parametrize("level", NESTED)
def test_pixels_of_directions_are_healpys(level: int) -> None:
    assert healpix.pixel_of(lattice(), level).tolist() == [int(n) for n in NESTED[level].split()]


def test_middles_of_pixels_are_healpys() -> None:
    theta, phi = torch.tensor([COLATITUDE, LONGITUDE], dtype=torch.float64)
    torch.testing.assert_close(healpix.pixel_center(torch.tensor(PIXELS), 3), ours(theta, phi), atol=1e-11, rtol=0)


def test_all_pixels_are_healpys_where_it_is_installed() -> None:
    healpy = pytest.importorskip("healpy", reason="healpy is not installed; stored values are checked above")
    directions = lattice(50_000)
    x, y, z = directions[:, [2, 0, 1]].numpy().T
    for level in (0, 2, 4, 9):
        assert (healpix.pixel_of(directions, level).numpy() == healpy.vec2pix(2**level, x, y, z, nest=True)).all()
    for side in (1, 3, 4, 8):
        expected = np.stack(healpy.pix2vec(side, np.arange(12 * side**2)), -1)
        np.testing.assert_allclose(healpix.ring_centers(side)[:, [2, 0, 1]], expected, atol=1e-14)


@pytest.mark.parametrize("side", [1, 2, 4, 8])
def test_rings_hold_the_same_middles_north_to_south(side: int) -> None:
    ring = healpix.ring_centers(side)
    pixel = healpix.pixel_of(ring, side.bit_length() - 1)
    assert pixel.unique().numel() == len(ring) == 12 * side**2
    torch.testing.assert_close(healpix.pixel_center(pixel, side.bit_length() - 1), ring, atol=1e-14, rtol=0)
    assert (ring[:, 1].diff() < 1e-12).all()
    azimuth = torch.atan2(ring[:, 0], ring[:, 2]) % (2 * math.pi)
    assert (azimuth.diff()[ring[:, 1].diff() > -1e-12] > 0).all()


def test_the_chart_round_trips_poles_and_edges_included() -> None:
    n = torch.cat([lattice(1000), torch.eye(3, dtype=torch.float64), -torch.eye(3, dtype=torch.float64)])
    n = torch.cat([n, torch.nn.functional.normalize(torch.tensor([[1e-9, 1.0, 2e-9]], dtype=torch.float64), dim=-1)])
    face, place = healpix.to_face(n)
    assert ((face >= 0) & (face < 12)).all()
    torch.testing.assert_close(healpix.from_face(face, place), n, atol=1e-14, rtol=0)


def test_uniform_places_are_uniform_directions() -> None:
    """Mean height squared is 1/3 and mean height 0; over the north face 0 the chart must keep area."""
    steps = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    place = torch.cartesian_prod(steps, steps)
    height = torch.cat([healpix.from_face(torch.full((4096,), f), place)[:, 1] for f in range(12)])
    assert abs(float(height.square().mean()) - 1 / 3) < 1e-4
    cap = float((height > 0.9).double().mean())
    assert abs(cap - 0.05) < 2e-3


def test_children_lie_in_their_parent() -> None:
    pixel = torch.arange(healpix.pixel_count(3))
    center = healpix.pixel_center(pixel, 3)
    assert torch.equal(healpix.pixel_of(center, 2), pixel // 4)


def test_bits_interleave_and_come_back() -> None:
    steps = torch.tensor([[1, 0, 1], [3, 2, 0]])
    assert healpix.interleave(steps, 2).tolist() == [0b000101, 0b011001]
    assert torch.equal(healpix.deinterleave(healpix.interleave(steps, 2), 2, 3), steps)


def test_levels_are_bounded() -> None:
    with pytest.raises(ResectError, match="grid level"):
        healpix.pixel_count(40)
