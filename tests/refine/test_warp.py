"""Inverse-compositional alignment and matching: one render with depth is enough to come back."""

import math

import pytest
import torch
from ball import BlackBall, error, photograph, pose

from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.refine.matching import MatchSettings, match_and_solve, solve_pnp
from resect.refine.view import Meter, view
from resect.refine.warp import WarpSettings, inverse_compositional, smooth_depth

CAMERA = Camera(120.0, 120.0, 64.0, 48.0, 128, 96)


def near(truth: SE3, degrees: float, shift: float) -> SE3:
    return truth.retract(torch.tensor([shift, 0, -shift, 0, math.radians(degrees), 0], dtype=torch.float64))


@pytest.mark.parametrize("degrees", [0.5, 2.0])
def test_alignment_of_a_batch_from_one_render_each(degrees: float) -> None:
    scene, truth = BlackBall(waves=2.0), pose(2)
    at = view(scene, photograph(scene, truth, CAMERA), 128, Meter(), CAMERA.width * CAMERA.height)
    starts = SE3.stack([near(truth, degrees, 0.02), near(truth, -degrees, -0.02)]).float()
    end = inverse_compositional(at, starts, WarpSettings(steps=20))
    for k in range(2):
        assert error(end[k], truth)[0] < 0.05
    assert at.meter.rays == 2 * 128 * 96


def test_depth_edges_are_left_out() -> None:
    depth = torch.full((1, 8, 8), 2.0)
    depth[:, :, 4:] = 3.0
    depth[0, 0, 0] = 0.0
    smooth = smooth_depth(depth, 0.1)[0]
    assert smooth[4].tolist() == [1, 1, 1, 0, 0, 1, 1, 1]
    assert smooth[0, :2].tolist() == [0, 0]


@pytest.mark.parametrize("matcher", ["flow", "sift"])
def test_matching_brings_a_pose_back(matcher: str) -> None:
    scene, truth = BlackBall(waves=12.0), pose(2)
    at = view(scene, photograph(scene, truth, CAMERA), 128, Meter(), CAMERA.width * CAMERA.height)
    found = match_and_solve(at, near(truth, 3.0, 0.03).float(), MatchSettings(matcher=matcher))
    assert found.cam_from_world is not None
    assert error(found.cam_from_world, truth)[0] < 0.3
    assert found.inliers >= 12


def test_pnp_with_half_of_the_matches_wrong() -> None:
    scene, truth = BlackBall(), pose(2)
    at = view(scene, photograph(scene, truth, CAMERA), 128, Meter(), 1)
    g = torch.Generator().manual_seed(0)
    pixels = torch.rand(200, 2, generator=g, dtype=torch.float64) * torch.tensor([128.0, 96.0], dtype=torch.float64)
    rays = CAMERA.rays(pixels)
    points = truth.inverse().apply(rays * (1 + torch.rand(200, 1, generator=g, dtype=torch.float64)))
    pixels[:100] = pixels[:100].flip(0)
    found = solve_pnp(at, near(truth, 5.0, 0.1), points, pixels, MatchSettings())
    assert found.cam_from_world is not None
    assert error(found.cam_from_world, truth)[0] < 0.05


def test_too_few_matches_are_no_answer() -> None:
    scene, truth = BlackBall(), pose(2)
    photo = photograph(scene, truth, CAMERA)
    at = view(scene, photo, 128, Meter(), 1)
    assert (
        solve_pnp(at, truth, torch.rand(3, 3).double(), torch.rand(3, 2).double(), MatchSettings()).cam_from_world
        is None
    )
    black = type(photo)("black", torch.zeros(96, 128, 3), CAMERA)
    answer = match_and_solve(view(scene, black, 128, Meter(), 1), truth.float(), MatchSettings(matcher="sift"))
    assert answer.cam_from_world is None
