"""Series on SO(3): orthonormality by exact quadrature, turned arguments, derivatives by finite differences."""

import math

import numpy as np
import torch
from torch import Tensor

from resect.geometry import harmonics, so3
from resect.geometry import so3_series as series

LMAX = 3


def rotations(count: int, seed: int = 0) -> Tensor:
    return so3.random(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def coefficients(*shape: int, lmax: int = LMAX) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(*shape, series.series_size(lmax), generator=generator, dtype=torch.float64)


def test_sizes() -> None:
    assert [series.series_size(n) for n in (0, 1, 6)] == [1, 10, 455]
    assert series.basis(rotations(2), 6).shape == (2, 455)


def test_the_basis_is_orthonormal() -> None:
    """Gauss-Legendre in cos β and equal steps in α, γ integrate products up to degree 2 lmax exactly."""
    nodes, weights = np.polynomial.legendre.leggauss(LMAX + 1)
    turns = torch.arange(2 * LMAX + 1, dtype=torch.float64) * (2 * math.pi / (2 * LMAX + 1))
    alpha, beta, gamma = torch.meshgrid(turns, torch.from_numpy(np.arccos(nodes)), turns, indexing="ij")
    b = series.basis(harmonics.from_angles(alpha, beta, gamma), LMAX)
    weight = torch.from_numpy(weights)[None, :, None].expand(alpha.shape) / 2 / len(turns) ** 2
    gram = torch.einsum("abgk,abgl,abg->kl", b, b, weight)
    torch.testing.assert_close(gram, torch.eye(b.shape[-1], dtype=torch.float64), atol=1e-12, rtol=0)


def test_blocks_round_trip() -> None:
    c = coefficients(2)
    parts = series.blocks(c, LMAX)
    assert [p.shape[-1] for p in parts] == [1, 3, 5, 7]
    assert torch.equal(series.unblock(parts), c)


def test_turned_and_inverted_arguments() -> None:
    c, (left, right), r = coefficients(2), rotations(2, 1), rotations(7, 2)
    found = series.evaluate(series.of_product(c, LMAX, left=left, right=right), r, LMAX, chunk=3)
    torch.testing.assert_close(found, series.evaluate(c, left @ r @ right, LMAX))
    inverse = series.evaluate(series.of_inverse(c, LMAX), r, LMAX)
    torch.testing.assert_close(inverse, series.evaluate(c, r.mT, LMAX))


def test_gradient_equals_finite_differences() -> None:
    c, r, step = coefficients(), rotations(4), 1e-5
    found = series.evaluate(series.gradient(c, LMAX), r, LMAX)
    ahead = so3.exp(step * torch.eye(3, dtype=torch.float64))[:, None] @ r
    behind = so3.exp(-step * torch.eye(3, dtype=torch.float64))[:, None] @ r
    values = [series.evaluate(c, moved.flatten(0, 1), LMAX).view(3, 4) for moved in (ahead, behind)]
    torch.testing.assert_close(found, (values[0] - values[1]) / (2 * step), atol=1e-7, rtol=1e-7)
