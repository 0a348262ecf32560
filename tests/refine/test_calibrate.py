"""The error model on a scene whose errors are known, and covariance against Monte Carlo."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ball import Ball, RayBall, error, photograph, pose

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.refine.calibrate import calibrate, leave_out
from resect.refine.default import Inversion
from resect.refine.focal import solve_focal
from resect.refine.halving import SearchSettings
from resect.refine.judge import ErrorModel
from resect.refine.levenberg_marquardt import LMSettings, State, levenberg_marquardt
from resect.refine.objectives import Difference
from resect.refine.recipe import RefineSettings, Work
from resect.refine.robust import Robust
from resect.refine.rows import fuse, photometric, pose_information
from resect.refine.view import Meter, view
from resect.types import Hypotheses, Photo, PhotoSet, Status, Truth, World

CAMERA = Camera(80.0, 80.0, 48.0, 36.0, 96, 72)
QUICK = RefineSettings(
    fine_side=48, match_side=96, polish_side=96, bench_side=96, search=SearchSettings(keep_coarse=2, blur_steps=(4, 3))
)


def photos(scene: Ball, count: int, noise: float) -> PhotoSet:
    truth = SE3.stack([pose(k) for k in range(count)])

    def load(i: int) -> Photo:
        return photograph(scene, truth[i], CAMERA, noise, seed=i)

    names = tuple(f"{i}.png" for i in range(count))
    return PhotoSet(Path(), "test", names, (CAMERA,) * count, Truth(truth), World(), load)


def test_a_run_and_isolated_photos_are_left_out_and_none_is_in_both() -> None:
    kept, held = leave_out(24)
    assert held == (3, 6, 7, 8, 9, 15, 21)
    assert sorted(kept + held) == list(range(24))
    assert len(leave_out(10_000, most=20)[1]) <= 10_000 // 8 + 21


def test_an_error_model_is_measured_and_used() -> None:
    scene = RayBall(waves=6.0)
    model = calibrate(scene, photos(scene, 6, 0.02), range(6), refine=QUICK)
    assert model.photos == 6
    assert 0 < model.turn_rad < math.radians(0.2)
    assert model.residual == pytest.approx(0.02, rel=0.3)
    assert 0.2 <= model.least_agreement < 0.5
    photo = photograph(scene, pose(9), CAMERA, 0.02)
    start = pose(9).retract(torch.tensor([0.05, 0.0, 0.0, 0.05, 0.0, 0.0]).double())
    guess = Hypotheses(SE3.stack([start]).float(), torch.zeros(1))
    answer = Inversion(QUICK, model).refine(scene, photo, guess)
    assert answer.status is Status.OK
    assert answer.covariance is not None
    assert math.radians(0.001) < answer.covariance[3, 3].sqrt().item() < math.radians(0.5)


def test_nothing_to_measure_on_is_an_error_and_too_little_gives_the_typical_model() -> None:
    scene = RayBall(waves=6.0)
    with pytest.raises(ResectError, match="left out"):
        calibrate(scene, photos(scene, 2, 0.02), ())
    assert calibrate(scene, photos(scene, 2, 0.02), (0, 1), refine=QUICK).turn_rad == ErrorModel().turn_rad


def test_covariance_of_plain_squares_matches_monte_carlo() -> None:
    scene, truth, sigma = RayBall(waves=3.0), pose(3), 0.03
    camera = CAMERA.rescale(24, 18)
    errors = []
    for seed in range(120):
        at = view(scene, photograph(scene, truth, camera, sigma, seed), 24, Meter(), 1)
        term = photometric(at, Difference(), Robust("l2"), strength=1 / sigma**2)
        end = levenberg_marquardt(term, SE3.stack([truth]), LMSettings(steps=4, damping=1e-9, stop=1e-7))
        errors.append((end.cam_from_world[0] @ truth.inverse()).log())
    term = photometric(
        view(scene, photograph(scene, truth, camera), 24, Meter(), 1), Difference(), Robust("l2"), strength=sigma**-2
    )
    state = State(SE3.stack([truth]), torch.zeros(1, 0), torch.arange(1), 0)
    predicted = torch.linalg.inv(term(state).matrix[0]).diagonal().sqrt()
    measured = torch.stack(errors).std(0)
    torch.testing.assert_close(measured, predicted, rtol=0.25, atol=0)


def test_fusing_weighs_by_information() -> None:
    base = SE3.stack([pose(0)])
    other = base.retract(torch.tensor([[1e-4, 0, 0, 0, 0, 2e-4]], dtype=torch.float64))
    eye = torch.eye(6, dtype=torch.float64)[None]
    fused, information = fuse(base, [pose_information(base, 3 * eye), pose_information(other, eye)])
    delta = (fused @ base.inverse()).log()[0]
    torch.testing.assert_close(delta, torch.tensor([0.25e-4, 0, 0, 0, 0, 0.5e-4]).double(), rtol=1e-3, atol=1e-8)
    torch.testing.assert_close(information, 4 * eye, rtol=1e-3, atol=1e-3)


def test_a_known_term_moves_the_answer() -> None:
    scene, truth = RayBall(waves=6.0), pose(3)
    photo = photograph(scene, truth, CAMERA)
    start = Hypotheses(SE3.stack([truth.retract(torch.full((6,), 0.02).double())]).float(), torch.zeros(1))
    away = SE3.stack([truth.retract(torch.tensor([0.002, 0, 0, 0, 0, 0]).double())])
    sure = pose_information(away, 1e14 * torch.eye(6, dtype=torch.float64)[None])
    answer = Inversion(QUICK, known=(sure,)).refine(scene, photo, start)
    assert answer.cam_from_world is not None
    assert error(answer.cam_from_world, away[0])[1] < 1e-4


def test_focal_length_from_matches() -> None:
    scene, truth = RayBall(waves=9.0), pose(3)
    photo = photograph(scene, truth, CAMERA)
    guess = replace(photo, camera=CAMERA.with_focal_scale(1.08))
    work = Work(scene, guess, QUICK)
    found, log_focal = solve_focal(work, SE3.stack([truth]).float(), 0.1)
    assert math.exp(log_focal) * 1.08 == pytest.approx(1.0, abs=0.01)
    assert error(found[0], truth)[0] < 0.5
    answer = Inversion(replace(QUICK, focal_sigma=0.1)).refine(
        scene, guess, Hypotheses(SE3.stack([truth]).float(), torch.zeros(1))
    )
    assert answer.camera is not None
    assert answer.camera.fx == pytest.approx(CAMERA.fx, rel=0.01)
    assert answer.extra_names == ("log_focal",)
