"""iNeRF as a refiner: it comes nearer, keeps every step, is never worse than its start, and fails with a status."""

from dataclasses import replace

import torch
from ball import RayBall, error, photograph, pose

from resect.geometry.se3 import SE3
from resect.refine.first_order import FirstOrderSettings
from resect.refine.inerf import Inerf
from resect.types import Hypotheses, Status, Target

TRUTH, SCENE = pose(3), RayBall(waves=1.5)
STEPS = FirstOrderSettings(steps=80, rays=128)
DELTA = torch.tensor([0.03, 0.0, -0.02, 0.02, 0.03, 0.0], dtype=torch.float64)


def starts(*deltas: torch.Tensor) -> Hypotheses:
    poses = SE3.stack([TRUTH.retract(d) for d in deltas]).float()
    return Hypotheses(poses, torch.zeros(len(deltas)))


def test_it_comes_nearer_and_tells_every_step() -> None:
    found = Inerf(STEPS, side=64).refine(SCENE, photograph(SCENE, TRUTH), starts(DELTA))
    assert found.status is Status.OK
    assert found.cam_from_world is not None
    assert error(found.cam_from_world.double(), TRUTH)[0] < 0.3 * error(TRUTH.retract(DELTA), TRUTH)[0]
    assert len(found.trace) == 80
    assert float(found.trace[-1].loss) < float(found.trace[0].loss)
    assert found.loss is not None
    assert found.loss[0] < found.loss[1]
    turn = found.trace[-1].cam_from_world.R[0]
    torch.testing.assert_close(turn @ turn.mT, torch.eye(3), atol=1e-5, rtol=0)


def test_the_start_is_kept_where_steps_lead_away() -> None:
    wild = replace(STEPS, steps=3, rate=5.0)
    given = starts(torch.zeros(6, dtype=torch.float64))
    found = Inerf(wild, side=64).refine(SCENE, photograph(SCENE, TRUTH), given)
    assert found.status is Status.NOT_IMPROVED
    assert found.cam_from_world is not None
    assert torch.equal(found.cam_from_world.t, given.cam_from_world.t[0])


def test_the_best_of_several_starts_is_the_answer() -> None:
    given = starts(8 * DELTA, DELTA)
    found = Inerf(STEPS, side=64, starts=2).refine(SCENE, photograph(SCENE, TRUTH), given)
    assert found.cam_from_world is not None
    assert error(found.cam_from_world.double(), TRUTH)[0] < 0.5
    assert found.modes is not None
    assert len(found.modes) == 2


def test_only_pixels_inside_a_mask_are_looked_at() -> None:
    photo = photograph(SCENE, TRUTH)
    height, width = photo.image.shape[:2]
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[:, : width // 2] = True
    spoiled = torch.where(mask[..., None], photo.image, torch.rand(height, width, 3, generator=torch.Generator()))
    masked = replace(photo, image=spoiled, target=Target("objects", mask=mask))
    found = Inerf(STEPS, side=64).refine(SCENE, masked, starts(DELTA))
    plain = Inerf(STEPS, side=64).refine(SCENE, replace(masked, target=None), starts(DELTA))
    assert found.loss is not None
    assert plain.loss is not None
    assert found.loss[0] < 0.2 * plain.loss[0]


def test_a_photo_of_something_else_is_no_answer() -> None:
    other = photograph(RayBall(waves=4.0), pose(3))
    turned = replace(other, image=other.image.flip(0).flip(2))
    found = Inerf(STEPS, side=64).refine(SCENE, turned, starts(DELTA))
    assert found.status in (Status.NO_AGREEMENT, Status.NOT_CONVERGED)


def test_failures_have_a_status() -> None:
    photo = photograph(SCENE, TRUTH)
    none = Hypotheses(SE3.identity(0), torch.zeros(0))
    assert Inerf(STEPS).refine(SCENE, photo, none).status is Status.NO_HYPOTHESIS
    broken = Hypotheses(SE3(torch.eye(3)[None], torch.full((1, 3), torch.nan)), torch.zeros(1))
    assert Inerf(STEPS).refine(SCENE, photo, broken).status is Status.NON_FINITE
    blank = replace(photo, image=torch.full_like(photo.image, 0.5))
    assert Inerf(STEPS).refine(SCENE, blank, starts(DELTA)).status is Status.NO_AGREEMENT
