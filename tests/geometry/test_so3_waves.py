"""Trigonometric polynomials against the series that they are made of."""

import pytest
import torch

from resect.geometry import harmonics, so3, so3_series, so3_waves
from resect.geometry.so3_series import series_size


@pytest.mark.parametrize("lmax", [0, 1, 5])
def test_values_are_those_of_the_series(lmax: int) -> None:
    g = torch.Generator().manual_seed(0)
    series = torch.randn(2, 3, series_size(lmax), generator=g, dtype=torch.float64)
    rotation = so3.random(9, generator=g, dtype=torch.float64)
    rotation[0], rotation[1] = torch.eye(3), torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    waved = so3_waves.trigonometric(series, lmax)
    assert waved.shape == (2, 3, *(2 * lmax + 1,) * 3)
    expected = so3_series.evaluate(series, rotation, lmax)
    torch.testing.assert_close(so3_waves.evaluate(waved, rotation), expected)
    torch.testing.assert_close(
        so3_waves.evaluate(so3_waves.trigonometric(series[0, 0], lmax), rotation), expected[0, 0]
    )


def test_fibres_are_their_rotations_one_by_one() -> None:
    g = torch.Generator().manual_seed(1)
    series = torch.randn(2, series_size(4), generator=g, dtype=torch.float64)
    starts, tilt = so3.random(6, generator=g, dtype=torch.float64), torch.tensor([0.0, 0.3, 2.0, -1.0]).double()
    every = starts[:, None] @ harmonics.about_y(tilt)
    waved = so3_waves.trigonometric(series, 4)
    found = so3_waves.evaluate_on_fibres(waved, so3_waves.fibres_of(starts, tilt, 4))
    torch.testing.assert_close(found, so3_series.evaluate(series, every.flatten(0, 1), 4).view(2, 6, 4))


def test_some_of_the_fibres_rotations_are_those_of_all() -> None:
    g = torch.Generator().manual_seed(1)
    series = torch.randn(series_size(4), generator=g, dtype=torch.float64)
    starts, tilt = so3.random(6, generator=g, dtype=torch.float64), torch.tensor([0.0, 0.3, 2.0, -1.0]).double()
    waved, fibres = so3_waves.trigonometric(series, 4), so3_waves.fibres_of(starts, tilt, 4)
    start, turn = torch.tensor([5, 0, 3]), torch.tensor([1, 3, 0])
    found = so3_waves.evaluate_in_fibres(waved, fibres, start, turn)
    torch.testing.assert_close(found, so3_waves.evaluate_on_fibres(waved, fibres)[start, turn])


def test_it_is_linear_in_the_series_and_so_are_its_derivatives() -> None:
    g = torch.Generator().manual_seed(2)
    series = torch.randn(1, series_size(3), generator=g, dtype=torch.float64, requires_grad=True)
    rotation = so3.random(4, generator=g, dtype=torch.float64)
    so3_waves.evaluate(so3_waves.trigonometric(series, 3), rotation).sum().backward()
    torch.testing.assert_close(series.grad[0], so3_series.basis(rotation, 3).sum(0))  # type: ignore[index]
