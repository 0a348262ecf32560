"""The default refiner on closed-form scenes: finds poses, is never worse, says when it fails, counts what it cost."""

import math
from dataclasses import replace

import pytest
import torch
from ball import Ball, RayBall, error, photograph, pose
from hypothesis import given, settings
from hypothesis import strategies as st

from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.refine.default import Inversion
from resect.refine.halving import SearchSettings
from resect.refine.judge import ErrorModel, make_bench
from resect.refine.lock import Lock, locked_of
from resect.refine.recipe import RefineSettings, Work
from resect.types import Hypotheses, Photo, Status

CAMERA = Camera(110.0, 110.0, 64.0, 48.0, 128, 96)
SCENE = RayBall(waves=6.0)
TRUTH = pose(3)
PHOTO = photograph(SCENE, TRUTH, CAMERA)
QUICK = RefineSettings(
    fine_side=48, match_side=64, polish_side=64, bench_side=96, search=SearchSettings(keep_coarse=3, blur_steps=(5, 4))
)


def hypotheses(starts: SE3, sigma_deg: float | None = None, sigma: float = 0.1) -> Hypotheses:
    information = None
    if sigma_deg is not None:
        diagonal = torch.tensor([sigma] * 3 + [math.radians(sigma_deg)] * 3, dtype=torch.float64) ** -2
        information = torch.diag(diagonal).expand(len(starts), 6, 6)
    return Hypotheses(starts.float(), torch.zeros(len(starts)), information)


def moved(seed: int, degrees: float, shift: float) -> SE3:
    g = torch.Generator().manual_seed(seed)
    axes = torch.nn.functional.normalize(torch.randn(2, 3, generator=g, dtype=torch.float64), dim=-1)
    return SE3.stack([TRUTH.retract(torch.cat([shift * axes[0], math.radians(degrees) * axes[1]]))])


@pytest.mark.parametrize("degrees", [5.0, 20.0])
def test_a_loose_start_is_solved(degrees: float) -> None:
    answer = Inversion().refine(SCENE, PHOTO, hypotheses(moved(1, degrees, 0.1), degrees / 3 + 2))
    assert answer.status is Status.OK
    assert answer.cam_from_world is not None
    assert error(answer.cam_from_world, TRUTH)[0] < 0.1
    assert answer.loss is not None
    assert answer.loss[0] < answer.loss[1]
    assert answer.cost.rays > 0
    assert {"search", "settle", "match", "polish", "judge"} == {name for name, _ in answer.cost.ms}


def test_the_same_call_gives_the_same_answer() -> None:
    start = hypotheses(moved(2, 10.0, 0.1), 5.0)
    one, two = (Inversion(QUICK).refine(SCENE, PHOTO, start) for _ in range(2))
    assert one.modes is not None
    assert two.modes is not None
    assert torch.equal(one.modes.cam_from_world.t, two.modes.cam_from_world.t)
    assert one.cost.rays == two.cost.rays


@given(seed=st.integers(0, 10_000), degrees=st.floats(0.0, 120.0), shift=st.floats(0.0, 1.5))
@settings(max_examples=12, deadline=None)
def test_an_answer_is_never_worse_than_its_start_on_pixels_kept_apart(seed: int, degrees: float, shift: float) -> None:
    start = hypotheses(moved(seed, degrees, shift), 3.0)
    answer = Inversion(QUICK).refine(SCENE, PHOTO, start)
    assert answer.modes is not None
    work = Work(SCENE, PHOTO, QUICK)
    bench = make_bench(work.view(QUICK.bench_side), QUICK.bench_pixels, QUICK.bench_scale, 0)
    both = bench.loss(SE3.cat([answer.modes.cam_from_world[:1], start.cam_from_world]))
    assert both[0] <= both[1] * (1 + 1e-4)
    if answer.ok:
        assert error(answer.modes.cam_from_world[0], TRUTH)[0] < 5


def test_tight_hypotheses_are_taken_as_they_are() -> None:
    start = hypotheses(moved(4, 0.02, 0.0005), 0.02, 0.001)
    answer = Inversion(errors=ErrorModel(turn_rad=0.01)).refine(SCENE, PHOTO, start)
    assert answer.status is Status.OK
    assert answer.cam_from_world is not None
    assert torch.equal(answer.cam_from_world.t, start.cam_from_world.t[0])
    assert answer.covariance is not None
    torch.testing.assert_close(answer.covariance.diagonal()[3:].sqrt(), torch.full((3,), math.radians(0.02)).double())


def test_a_start_that_is_already_best_is_returned_as_not_improved() -> None:
    settings_ = replace(QUICK, polish="none", match_rounds=0)
    answer = Inversion(settings_).refine(SCENE, PHOTO, hypotheses(SE3.stack([TRUTH]), 5.0))
    assert answer.status in (Status.NOT_IMPROVED, Status.OK)
    assert answer.cam_from_world is not None
    assert error(answer.cam_from_world, TRUTH)[0] < 1.0


def black() -> Photo:
    return replace(PHOTO, image=torch.zeros(96, 128, 3))


def noise() -> Photo:
    return replace(PHOTO, image=torch.rand(96, 128, 3, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("photo", [black(), noise(), photograph(Ball(seed=9, waves=6.0), pose(5), CAMERA)])
def test_a_photo_of_something_else_gets_a_failure_and_no_pose(photo: Photo) -> None:
    answer = Inversion(QUICK).refine(SCENE, photo, hypotheses(moved(1, 20.0, 0.2)))
    assert answer.status in (Status.NO_AGREEMENT, Status.NOT_CONVERGED)
    assert answer.cam_from_world is None


def test_hostile_hypotheses_get_a_status() -> None:
    start = moved(1, 5.0, 0.1)
    broken = SE3(start.R, start.t * torch.nan)
    assert Inversion(QUICK).refine(SCENE, PHOTO, hypotheses(broken)).status is Status.NON_FINITE
    none = Hypotheses(SE3.identity(0), torch.zeros(0))
    assert Inversion(QUICK).refine(SCENE, PHOTO, none).status is Status.NO_HYPOTHESIS
    half = Hypotheses(SE3.cat([broken, start]).float(), torch.zeros(2))
    assert Inversion(QUICK).refine(SCENE, PHOTO, half).status is Status.OK


def test_draws_without_information_of_their_own_are_left_to_the_search() -> None:
    start = hypotheses(SE3.cat([moved(1, 8.0, 0.1), moved(2, 8.0, 0.1)]), 5.0)
    assert start.information is not None
    only_first = start.information * torch.tensor([1.0, 0.0])[:, None, None]
    answer = Inversion(QUICK).refine(SCENE, PHOTO, replace(start, information=only_first))
    alone = Inversion(QUICK).refine(SCENE, PHOTO, start.take([0]))
    assert answer.cost.rays == alone.cost.rays


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_pixel_that_is_no_number_in_a_large_photo_is_seen(value: float) -> None:
    image = PHOTO.image.repeat_interleave(8, 0).repeat_interleave(8, 1).clone()
    image[3, 5, 1] = value
    height, width = image.shape[:2]
    large = replace(PHOTO, image=image, camera=CAMERA.rescale(width, height))
    assert max(height, width) > QUICK.bench_side
    assert Inversion(QUICK).refine(SCENE, large, hypotheses(moved(1, 5.0, 0.1))).status is Status.NON_FINITE


@pytest.mark.parametrize(
    ("locked", "sigma_deg"), [(("rotation",), 8.0), (("translation",), 8.0), (("vz", "wz"), 8.0), (("rotation",), 0.3)]
)
def test_what_is_locked_stays_at_the_start_and_the_rest_is_found(locked: tuple[str, ...], sigma_deg: float) -> None:
    lock = Lock(TRUTH[None].float(), locked_of(locked))
    size = 1.0 if sigma_deg > 1 else 0.05
    loose = moved(3, 8.0 * size, 0.15 * size)
    start = lock.hold(loose.float())
    answer = Inversion(locked=locked, anchor=TRUTH).refine(SCENE, PHOTO, hypotheses(loose, sigma_deg, 0.1 * size))
    assert answer.status is Status.OK
    assert answer.cam_from_world is not None
    assert error(answer.cam_from_world, TRUTH)[0] < 0.15
    assert error(answer.cam_from_world, TRUTH)[1] < 4e-3
    kept = Lock(TRUTH[None].double(), torch.zeros(6, dtype=torch.bool)).motion(answer.cam_from_world[None])
    assert (kept[0, lock.locked].abs() < 1e-6).all()
    own = Inversion(locked=locked).refine(SCENE, PHOTO, hypotheses(start, sigma_deg, 0.1 * size))
    assert own.cam_from_world is not None
    if "rotation" in locked:
        assert torch.equal(own.cam_from_world.R, start.R[0])
    assert answer.covariance is not None
    sigma = answer.covariance.diagonal().sqrt()
    if "rotation" in locked:
        assert sigma[3:].max() < 1e-5 < sigma[:3].min()
    if "translation" in locked:
        assert sigma[:3].max() < 1e-5 < sigma[3:].min()


def test_a_wrong_lock_is_seen_and_not_explained_away() -> None:
    wrong = TRUTH.retract(torch.tensor([0, 0, 0, 0.0, 0.5, 0.0], dtype=torch.float64))
    answer = Inversion(locked=("rotation",), anchor=wrong).refine(SCENE, PHOTO, hypotheses(moved(3, 5.0, 0.1), 5.0))
    assert not answer.ok


def test_a_lock_leaves_something_to_find() -> None:
    with pytest.raises(ResectError, match="left to find"):
        Inversion(locked=("rotation", "translation"))
