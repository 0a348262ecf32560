"""The search: what is drawn, what is kept, and rotations looked up in one wide render."""

import math

import pytest
import torch
from ball import Ball, RayBall, error, photograph, pose

from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.refine.halving import Candidates, SearchSettings, Spread, counts, scatter, spread_of, suppress
from resect.refine.lookup import LookupSettings, lookup, rotation_lattice, wide_camera
from resect.refine.view import Meter, view
from resect.types import Hypotheses

CAMERA = Camera(55.0, 55.0, 32.0, 24.0, 64, 48)


def test_spread_is_three_sigma_of_the_turn_and_the_uniforms_half_width() -> None:
    sigma = torch.tensor([0.1, 0.2, 0.1, 0.05, 0.05, 0.1], dtype=torch.float64)
    known = torch.diag(sigma**-2)
    half = torch.diag(torch.tensor([0, 0, 0, 100.0, 100, 100], dtype=torch.float64))
    both = Hypotheses(SE3.identity(2), torch.zeros(2), torch.stack([known, half]))
    spread = spread_of(both, 2.0, 1.0, 0.15)
    torch.testing.assert_close(spread.turn_rad, torch.tensor([0.3, 0.3]))
    torch.testing.assert_close(spread.shift, torch.tensor([math.sqrt(3) * 0.2, 0.3]))
    nothing = spread_of(Hypotheses(SE3.identity(1), torch.zeros(1)), 2.0, 1.0, 0.15)
    assert (nothing.turn_rad.item(), nothing.shift.item()) == pytest.approx((1.0, 0.3))


def test_correlated_information_is_not_read_off_the_diagonal() -> None:
    information = torch.diag(torch.full((6,), 100.0, dtype=torch.float64))
    information[3, 4] = information[4, 3] = 99.0
    spread = spread_of(Hypotheses(SE3.identity(1), torch.zeros(1), information[None]), 1.0, 1.0, 1.0)
    worst = torch.linalg.inv(information)[3, 3].sqrt().item()
    assert spread.turn_rad.item() == pytest.approx(3 * worst, rel=1e-3)


def test_poses_are_drawn_within_the_spread_about_the_camera_itself() -> None:
    start = SE3.stack([pose(0), pose(1)])
    spread = Spread(torch.tensor([0.3, 0.6]), torch.tensor([0.1, 0.2]))
    drawn, parent = scatter(start, spread, torch.tensor([200, 300]), 0.6, torch.Generator().manual_seed(0))
    turn = so3.angle(drawn.R, start.R[parent])
    shift = (drawn.center - start.center[parent]).abs().amax(1)
    for k, (most_turn, most_shift) in enumerate(((0.3, 0.1), (0.6, 0.2))):
        own = parent == k
        assert 0.9 * most_turn < turn[own].max() <= most_turn + 1e-6
        assert 0.9 * most_shift < shift[own].max() <= most_shift + 1e-6
    assert parent.bincount().tolist() == [200, 300]


def test_more_poses_are_drawn_where_more_is_unknown_and_never_too_many() -> None:
    spread = Spread(torch.tensor([0.35, 0.7]), torch.tensor([0.1, 0.1]))
    one, two = counts(spread, SearchSettings(count=64, most=1000)).tolist()
    assert two == pytest.approx(one * 2**1.5, abs=2)
    many = Spread(torch.full((50,), 3.0), torch.ones(50))
    assert counts(many, SearchSettings(most=256)).sum() <= 256 - 50


def test_close_poses_make_way_for_different_ones() -> None:
    base = pose(0)
    poses = SE3.stack([base, base.retract(torch.tensor([0, 0, 0, 0.01, 0, 0]).double()), pose(1), pose(2)])
    score = torch.tensor([0.8, 0.9, 0.1, float("nan")])
    kept = suppress(Candidates(poses, score, torch.arange(4)), 3, 6.0, 0.06)
    assert kept.parent.tolist() == [1, 2, 3]


def test_lattice_holds_the_identity_and_leaves_no_gap() -> None:
    lattice = rotation_lattice(math.radians(40), math.radians(8))
    asked = so3.exp(torch.nn.functional.normalize(torch.randn(200, 3), dim=1) * math.radians(38) * torch.rand(200, 1))
    every = lattice[None].expand(200, -1, 3, 3)
    nearest = so3.angle(every, asked[:, None].expand_as(every)).min(1).values
    assert nearest.max() < math.radians(8) * math.sqrt(3) / 2 * 1.2
    assert so3.angle(lattice, torch.eye(3).expand_as(lattice)).min() < 1e-3


def test_wide_camera_sees_all_that_a_turned_photo_sees() -> None:
    wide = wide_camera(CAMERA, math.radians(50), 0.5)
    turn = so3.exp(torch.tensor([[0.0, math.radians(50), 0.0], [math.radians(35), math.radians(35), 0.0]]))
    rays = CAMERA.rays(CAMERA.pixels()) @ turn.mT
    _, inside = wide.project(rays)
    assert bool(inside.all())


@pytest.mark.parametrize("degrees", [0.0, 30.0, 55.0])
def test_one_render_finds_a_large_turn(degrees: float) -> None:
    scene: Ball = RayBall(waves=4.0)
    truth = pose(3)
    meter = Meter()
    small = view(scene, photograph(scene, truth, CAMERA), 20, meter, 64 * 48)
    axis = torch.nn.functional.normalize(torch.tensor([0.3, 1.0, -0.5]), dim=0).double()
    start = truth.retract(torch.cat([torch.zeros(3).double(), math.radians(degrees) * axis])).float()
    settings = LookupSettings(offset=0.0, pixels_per_deg=0.8)
    found, score = lookup(small, start, math.radians(60), 0.01, settings, 2.0)
    assert error(found[int(score.argmax())], truth)[0] < 8.0
    assert score.max() > 0.7
    assert meter.rays < 150 * 150
