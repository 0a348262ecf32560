"""Levenberg–Marquardt on closed-form scenes, where the answer is exact."""

import math

import pytest
import torch
from ball import CAMERA, Ball, RayBall, error, photograph, pose

from resect.geometry.se3 import SE3
from resect.geometry.so3 import hat
from resect.refine import rows
from resect.refine.levenberg_marquardt import LMSettings, Solution, State, levenberg_marquardt, total
from resect.refine.lock import Lock, locked_of
from resect.refine.objectives import Blurred, Difference, GradientDomain, LocalContrast, Zncc
from resect.refine.robust import Robust
from resect.refine.view import Meter, View, view
from resect.types import Photo

CAUCHY = Robust("cauchy", 0.1)


def start(truth: SE3, degrees: float, shift: float, seed: int) -> SE3:
    g = torch.Generator().manual_seed(seed)
    axes = torch.nn.functional.normalize(torch.randn(2, 3, generator=g, dtype=torch.float64), dim=-1)
    return truth.retract(torch.cat([shift * axes[0], math.radians(degrees) * axes[1]]))


def looking(scene: Ball, photo: Photo, long_side: int = 64) -> View:
    return view(scene, photo, long_side, Meter(), 64 * 48)


def settle(scene: Ball, photo: Photo, starts: SE3) -> Solution:
    """Blurred and coarse first, then plain colour."""
    near = starts
    for side, sigma in ((16, 1.5), (32, 1.0), (64, 1.0)):
        at = looking(scene, photo, side)
        terms = rows.photometric(at, Blurred(*at.shape, sigma), CAUCHY)
        near = levenberg_marquardt(terms, near, LMSettings(steps=15, policy="decrease"), length=2.0).cam_from_world
    exact = rows.photometric(looking(scene, photo), Difference(), CAUCHY)
    return levenberg_marquardt(exact, near, LMSettings(steps=20, policy="decrease", damping=1e-4, stop=1e-9))


def test_starts_of_five_to_twenty_degrees_converge_to_a_thousandth_of_a_degree() -> None:
    scene, truth = RayBall(waves=1.5), pose(3)
    photo = photograph(scene, truth)
    starts = SE3.stack([start(truth, a, a / 200, k) for k, a in enumerate((5.0, 10.0, 15.0, 20.0))])
    end = settle(scene, photo, starts)
    for k in range(4):
        degrees, distance = error(end.cam_from_world[k], truth)
        assert degrees < 1e-3
        assert distance < 1e-4
    assert bool(end.converged.all())


@pytest.mark.parametrize(
    "objective", [GradientDomain(48, 64), LocalContrast(48, 64), Zncc()], ids=lambda o: type(o).__name__
)
def test_every_objective_ends_at_the_truth(objective: object) -> None:
    scene, truth = RayBall(waves=1.5), pose(4)
    photo = photograph(scene, truth)
    term = rows.photometric(looking(scene, photo), objective, Robust("l2"))
    begin = SE3.stack([start(truth, 1.0, 0.01, 9)])
    end = levenberg_marquardt(term, begin, LMSettings(steps=15, policy="decrease", damping=1e-4, stop=1e-9))
    assert error(end.cam_from_world[0], truth)[0] < 1e-3


def test_a_batch_is_the_same_as_a_loop() -> None:
    scene, truth = RayBall(waves=1.5), pose(3)
    photo = photograph(scene, truth)
    term = rows.photometric(looking(scene, photo, 32), Difference(), CAUCHY)
    starts = SE3.stack([start(truth, 8.0, 0.05, k) for k in range(4)])
    settings = LMSettings(steps=6, policy="decrease")
    together = levenberg_marquardt(term, starts, settings)
    for k in range(4):
        alone = levenberg_marquardt(term, starts[k : k + 1], settings)
        torch.testing.assert_close(together.cam_from_world.t[k], alone.cam_from_world.t[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(together.cam_from_world.R[k], alone.cam_from_world.R[0], rtol=1e-4, atol=1e-4)


def test_decrease_never_raises_the_loss() -> None:
    scene, truth = RayBall(), pose(5)
    photo = photograph(scene, truth, noise=0.1)
    term = rows.photometric(looking(scene, photo, 16), Difference(), CAUCHY)
    starts = SE3.stack([start(truth, 40.0, 0.5, k) for k in range(8)])
    before = term(State(starts, torch.zeros(8, 0), torch.arange(8), 0)).loss
    end = levenberg_marquardt(term, starts, LMSettings(steps=8, policy="decrease"))
    after = term(State(end.cam_from_world, end.extra, torch.arange(8), 0)).loss
    assert bool((after <= before * (1 + 1e-6)).all())


def test_fresh_pixels_are_deterministic_and_converge() -> None:
    scene, truth = RayBall(waves=1.5), pose(6)
    photo = photograph(scene, truth)
    at = looking(scene, photo)
    term = rows.photometric(at, Difference(), CAUCHY, draw=rows.DrawPixels(torch.ones(64 * 48), 256, seed=1))
    begin = SE3.stack([start(truth, 3.0, 0.02, 2)])
    one, two = (levenberg_marquardt(term, begin, LMSettings(steps=25)) for _ in range(2))
    assert torch.equal(one.cam_from_world.t, two.cam_from_world.t)
    assert error(one.cam_from_world[0], truth)[0] < 1e-2


def test_locked_degrees_of_freedom_stay() -> None:
    scene, truth = RayBall(waves=1.5), pose(3)
    photo = photograph(scene, truth)
    term = rows.photometric(looking(scene, photo, 32), Difference(), CAUCHY)
    begin = SE3.stack([start(truth, 4.0, 0.1, 5)])
    turning = levenberg_marquardt(term, begin, LMSettings(steps=8), lock=Lock(begin, locked_of(["translation"])))
    torch.testing.assert_close(turning.cam_from_world.center, begin.center, rtol=0, atol=1e-9)
    shifting = levenberg_marquardt(term, begin, LMSettings(steps=8), lock=Lock(begin, locked_of(["rotation"])))
    torch.testing.assert_close(shifting.cam_from_world.R, begin.R, rtol=0, atol=0)
    assert (shifting.cam_from_world.t - begin.t).norm() > 1e-3


def test_focal_length_is_found() -> None:
    scene, truth = RayBall(waves=1.5), pose(3)
    photo = photograph(scene, truth)
    wrong = Photo(photo.name, photo.image, CAMERA.with_focal_scale(0.95), "test")
    at = looking(scene, wrong)
    term = total([rows.photometric(at, Difference(), CAUCHY, focal=True, strength=1e4), rows.focal_prior(0.3)])
    begin = SE3.stack([start(truth, 1.0, 0.01, 1)])
    extra = torch.zeros(1, 1, dtype=torch.float64)
    end = levenberg_marquardt(term, begin, LMSettings(steps=60, policy="decrease", stop=1e-9), extra=extra)
    assert end.extra.exp().item() == pytest.approx(1 / 0.95, rel=1e-3)
    assert error(end.cam_from_world[0], truth)[0] < 1e-2


def test_information_pulls_as_the_closed_form_says() -> None:
    mean = SE3.stack([pose(1), pose(2)])
    g = torch.Generator().manual_seed(0)
    a = torch.randn(2, 6, 6, generator=g, dtype=torch.float64)
    term = rows.pose_information(mean, a @ a.mT)
    begin = mean.retract(0.3 * torch.randn(2, 6, generator=g, dtype=torch.float64))
    end = levenberg_marquardt(term, begin, LMSettings(steps=12, damping=0.0, trust=9.0, stop=1e-12))
    torch.testing.assert_close(end.cam_from_world.t, mean.t, rtol=0, atol=1e-9)
    torch.testing.assert_close(end.cam_from_world.R, mean.R, rtol=0, atol=1e-9)


def test_two_informations_meet_at_the_weighted_mean() -> None:
    base = SE3.identity(1, dtype=torch.float64)
    near = base.retract(torch.tensor([[1e-5, 0, 0, 0, 0, 0]], dtype=torch.float64))
    weights = 3.0 * torch.eye(6, dtype=torch.float64)[None], 1.0 * torch.eye(6, dtype=torch.float64)[None]
    term = total([rows.pose_information(base, weights[0]), rows.pose_information(near, weights[1])])
    end = levenberg_marquardt(term, base, LMSettings(steps=5, damping=0.0, stop=1e-14))
    torch.testing.assert_close(end.cam_from_world.t[0, 0].item(), 0.25e-5, rtol=1e-6, atol=0)


def test_up_rows_turn_the_camera_upright_and_leave_the_rest() -> None:
    truth = pose(2)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    term = rows.up_direction(up, truth.R @ up, 0.01)
    begin = SE3.stack([start(truth, 10.0, 0.1, 3)])
    end = levenberg_marquardt(term, begin, LMSettings(steps=20, damping=1e-3))
    torch.testing.assert_close(end.cam_from_world.R[0] @ up, truth.R @ up, rtol=0, atol=1e-8)
    torch.testing.assert_close(end.cam_from_world.center, begin.center, rtol=0, atol=1e-6)
    assert hat(up).shape == (3, 3)


def test_landmark_rows_solve_pnp_despite_wrong_matches() -> None:
    truth = pose(2)
    g = torch.Generator().manual_seed(4)
    depth = 1 + torch.rand(60, generator=g, dtype=torch.float64)
    pixels = torch.rand(60, 2, generator=g, dtype=torch.float64) * torch.tensor([64.0, 48.0], dtype=torch.float64)
    rays = CAMERA.rays(pixels)
    points = truth.inverse().apply(rays / rays[:, 2:] * depth[:, None])
    pixels[::10] += 20.0
    term = rows.landmarks(points, pixels, CAMERA, 0.5, Robust("geman_mcclure", 3.0))
    end = levenberg_marquardt(term, SE3.stack([start(truth, 2.0, 0.02, 1)]), LMSettings(steps=40, stop=1e-12))
    assert error(end.cam_from_world[0], truth)[0] < 1e-2


def test_depth_rows_alone_bring_the_camera_back() -> None:
    scene, truth = RayBall(radius=2.0), pose(3)
    at = looking(scene, photograph(scene, truth), 32)
    seen = scene.render(at.camera, SE3.stack([truth]), ("depth",)).depth[0]
    begin = truth.retract(torch.tensor([0.05, -0.04, 0.06, 0, 0, 0], dtype=torch.float64))
    lock = Lock(SE3.stack([begin]), locked_of(["rotation"]))
    term = rows.depth(at, seen, 0.05)
    end = levenberg_marquardt(term, SE3.stack([begin]), LMSettings(steps=15, policy="decrease"), lock=lock)
    assert error(end.cam_from_world[0], truth)[1] < 1e-3


def test_a_pivot_changes_the_way_and_not_the_minimum() -> None:
    scene, truth = RayBall(waves=1.5), pose(3)
    photo = photograph(scene, truth)
    term = rows.photometric(looking(scene, photo), Difference(), CAUCHY)
    starts = SE3.stack([start(truth, 2.0, 0.01, 5)])
    settings = LMSettings(steps=30, policy="decrease", stop=1e-9)
    pivot = torch.tensor([0.3, -0.2, 1.5], dtype=torch.float64)
    ends = [levenberg_marquardt(term, starts, settings, pivot=p).cam_from_world[0] for p in (None, pivot)]
    for end in ends:
        assert error(end, truth)[0] < 1e-3
    assert error(ends[0], ends[1])[0] < 1e-4


def test_a_heavily_damped_step_about_a_pivot_keeps_the_pivot_in_place() -> None:
    """Far from the camera a turn about the camera's centre would carry the object away."""
    center = torch.tensor([0.0, 0.0, 100.0], dtype=torch.float64)
    spin = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    to_center = torch.cat([torch.eye(3, dtype=torch.float64), -hat(center)], 1)

    def system(state: State) -> rows.Normal:
        """Wants the object turned by one radian in place."""
        jacobian = torch.cat([to_center, torch.eye(6, dtype=torch.float64)[3:]])
        wanted = torch.cat([torch.zeros(3, dtype=torch.float64), spin[3:]])
        gradient = -(jacobian.T @ wanted)[None]
        return rows.Normal((jacobian.T @ jacobian)[None], gradient, torch.ones(1, dtype=torch.float64))

    settings = LMSettings(steps=1, damping=1.0, trust=10.0)
    far = SE3.identity(1, dtype=torch.float64)
    moved = levenberg_marquardt(system, far, settings, pivot=center).cam_from_world
    torch.testing.assert_close(moved.apply(center[None, None]), center[None, None], atol=1e-9, rtol=0)
    assert moved.log()[0, 4] == pytest.approx(0.5, abs=1e-6)
