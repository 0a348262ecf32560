"""What every refiner keeps to. A new refiner adds one line to `REFINERS`."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch

from resect.data.synthetic import SyntheticSettings, make_capture
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.protocols import Refiner
from resect.refine.default import Inversion
from resect.refine.halving import SearchSettings
from resect.refine.recipe import RefineSettings
from resect.scenes.room import Room
from resect.types import Estimate, Hypotheses, Photo, PhotoSet, Status

SMALL = RefineSettings(
    fine_side=48, match_side=80, polish_side=80, bench_side=120, search=SearchSettings(keep_coarse=3, blur_steps=(6, 4))
)
REFINERS: dict[str, Callable[[], Refiner]] = {
    "inversion": lambda: Inversion(SMALL),
    "inversion by random search and warping": lambda: Inversion(
        replace(SMALL, match_rounds=0, polish="warp", search=replace(SMALL.search, method="random", count=32))
    ),
}


@cache
def capture() -> PhotoSet:
    return make_capture(SyntheticSettings(photos=2, width=120, height=90))


def start(degrees: float = 3.0, count: int = 1) -> Hypotheses:
    g = torch.Generator().manual_seed(0)
    truth = capture().truth.cam_from_world[torch.zeros(count, dtype=torch.long)].double()
    delta = torch.cat(
        [0.05 * torch.randn(count, 3, generator=g), degrees / 57.3 * torch.randn(count, 3, generator=g) / 3**0.5], 1
    )
    pose = truth.retract(delta.double())
    information = torch.diag(torch.tensor([0.1**-2] * 3 + [(degrees / 57.3) ** -2] * 3, dtype=torch.float64))
    return Hypotheses(
        pose.float(), torch.zeros(count), information.expand(count, 6, 6), source=tuple(f"s{k}" for k in range(count))
    )


@pytest.fixture(params=list(REFINERS))
def refiner(request: pytest.FixtureRequest) -> Refiner:
    return REFINERS[request.param]()


def check(answer: Estimate, hypotheses: Hypotheses) -> None:
    """What holds of any answer."""
    assert answer.cost.rays >= 0
    assert answer.cost.seconds >= 0
    assert (answer.cam_from_world is not None) == answer.ok
    if not answer.ok:
        assert answer.covariance is None
        return
    assert answer.modes is not None
    pose = answer.modes.cam_from_world
    eye = torch.eye(3).expand(len(pose), 3, 3)
    torch.testing.assert_close(pose.R @ pose.R.mT, eye, rtol=0, atol=1e-5)
    mass = answer.modes.log_weight.exp()
    assert mass.sum().item() == pytest.approx(1, abs=1e-4)
    assert bool((mass.diff() <= 0).all())
    assert set(answer.modes.source) <= set(hypotheses.source)
    covariance = answer.covariance
    assert covariance is not None
    assert bool((torch.linalg.eigvalsh(covariance) > 0).all())
    assert answer.loss is not None
    assert answer.loss[0] <= answer.loss[1]
    assert len(answer.trace) > 0


@pytest.mark.parametrize("count", [1, 3])
def test_answers_are_whole_and_no_worse_than_their_start(refiner: Refiner, count: int) -> None:
    hypotheses = start(count=count)
    answer = refiner.refine(Room(), capture()[0], hypotheses)
    check(answer, hypotheses)
    assert answer.ok
    assert answer.cam_from_world is not None
    truth = capture().truth.cam_from_world[0]
    assert so3.angle(answer.cam_from_world.R, truth.R.float()).item() < 0.02
    assert answer.camera == capture()[0].camera


def test_the_same_call_gives_the_same_bytes(refiner: Refiner) -> None:
    one, two = (refiner.refine(Room(), capture()[0], start()) for _ in range(2))
    assert one.modes is not None
    assert two.modes is not None
    assert torch.equal(one.modes.cam_from_world.R, two.modes.cam_from_world.R)
    assert one.cost.rays == two.cost.rays


def test_inputs_are_left_as_they_were(refiner: Refiner) -> None:
    hypotheses, photo = start(), capture()[0]
    before = hypotheses.cam_from_world.t.clone(), photo.image.clone()
    refiner.refine(Room(), photo, hypotheses)
    assert torch.equal(hypotheses.cam_from_world.t, before[0])
    assert torch.equal(photo.image, before[1])


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, float("nan")])
def test_a_photo_without_content_is_a_failure(refiner: Refiner, value: float) -> None:
    photo = capture()[0]
    blank: Photo = replace(photo, image=torch.full_like(photo.image, value))
    answer = refiner.refine(Room(), blank, start())
    check(answer, start())
    assert not answer.ok


def test_no_hypotheses_and_broken_ones_get_their_status(refiner: Refiner) -> None:
    nothing = Hypotheses(SE3.identity(0), torch.zeros(0))
    assert refiner.refine(Room(), capture()[0], nothing).status is Status.NO_HYPOTHESIS
    broken = replace(start(), cam_from_world=SE3(torch.full((1, 3, 3), torch.nan), torch.zeros(1, 3)))
    assert refiner.refine(Room(), capture()[0], broken).status is Status.NON_FINITE


def test_a_mask_that_hides_half_of_the_photo_is_allowed(refiner: Refiner) -> None:
    photo = capture()[0]
    mask = torch.ones(photo.image.shape[:2], dtype=torch.bool)
    mask[:, :40] = False
    spoiled = photo.image.clone()
    spoiled[:, :40] = 0.0
    answer = refiner.refine(Room(), replace(photo, image=spoiled, mask=mask), start())
    check(answer, start())
    assert answer.ok
