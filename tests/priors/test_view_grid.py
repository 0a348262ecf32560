"""A grid of starts around a middle."""

import math
from dataclasses import replace

import pytest
import torch

from resect.errors import ResectError
from resect.geometry import so3
from resect.priors.view_grid import Centered, ViewGrid
from resect.types import Photo

PHOTO = Photo("p", torch.ones(2, 2, 3))


def test_the_published_grid() -> None:
    poses = ViewGrid((0.0, 0.0, 0.0), 1.3).poses()
    center = poses.center
    assert len(poses) == 24
    assert torch.allclose(center.norm(dim=-1), torch.tensor(1.3).double())
    assert sorted({round(x) for x in (center[:, 2] / 1.3).asin().rad2deg().tolist()}) == [-45, 0, 45]
    azimuth = torch.atan2(center[:, 1], center[:, 0]).rad2deg().round() % 360
    assert sorted(set(azimuth.tolist())) == [45.0 * k for k in range(8)]
    assert float(poses.R[:, 0, 2].abs().max()) < 1e-9  # image-right has no part along up


def test_a_grid_about_a_middle_in_another_up_and_within_heights() -> None:
    grid = ViewGrid((1.0, 2.0, 3.0), 2.0, (0.0, 1.0, 0.0), (0.0, 0.9), azimuths=4, elevations=3, inside=True)
    poses = grid.poses()
    toward = (poses.center - torch.tensor([1.0, 2.0, 3.0])) / 2
    assert sorted({round(x, 2) for x in toward[:, 1].asin().tolist()}) == [0.15, 0.45, 0.75]
    assert torch.allclose(-toward, poses.axis, atol=1e-9)
    assert len(grid.propose(PHOTO, 3, torch.Generator())) == 12


def test_rotations_of_another_prior_are_put_before_the_middle() -> None:
    grid = ViewGrid((1.0, 2.0, 3.0), 2.0)
    found = Centered(replace(grid, radius=7.0), (1.0, 2.0, 3.0), 2.0).propose(PHOTO, 24, torch.Generator())
    assert torch.allclose(found.cam_from_world.t, grid.poses().t)
    assert float(so3.angle(found.cam_from_world.R, grid.poses().R).max()) < 1e-6


@pytest.mark.parametrize(
    "wrong", [{"radius": 0.0}, {"radius": math.nan}, {"azimuths": 0}, {"elevation_rad": (1.0, 0.0)}]
)
def test_grids_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ResectError, match="view grid"):
        replace(ViewGrid((0.0, 0.0, 0.0), 1.0), **wrong)  # type: ignore[arg-type]
