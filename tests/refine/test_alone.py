from functools import cache

import pytest
import torch

from resect.data.synthetic import SyntheticSettings, make_capture
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.refine.alone import Alone, Method
from resect.scenes.room import Room
from resect.types import Hypotheses, PhotoSet, Status


@cache
def capture() -> PhotoSet:
    return make_capture(SyntheticSettings(photos=1, width=120, height=90, path="orbit"))


@pytest.mark.parametrize(("method", "steps"), [("lm", 40), ("flow-pnp", 0), ("adam", 25)])
def test_each_method_goes_nearer_from_the_likeliest_start(method: Method, steps: int) -> None:
    truth = capture().truth.cam_from_world.float()
    near = truth.retract(torch.tensor([[0.02, -0.02, 0.02, 0.02, -0.02, 0.02]]))
    far = truth.retract(torch.tensor([[0.0, 0.0, 0.0, 0.0, 2.0, 0.0]]))
    start = Hypotheses(SE3.cat([far, near]), torch.tensor([-1.0, 0.0]), source=("far", "near"))
    found = Alone(method, steps).refine(Room(), capture()[0], start)
    assert found.status is Status.OK
    assert found.modes is not None
    assert found.modes.source == ("near",)
    assert found.cost.rays > 0
    pose = found.modes.cam_from_world
    assert float(so3.angle(pose.R, truth.R)) < 0.5 * float(so3.angle(near.R, truth.R))
    assert float((pose.center - truth.center).norm()) < float((near.center - truth.center).norm())


def test_nothing_to_start_from_is_said() -> None:
    nothing = Hypotheses(SE3.identity(0), torch.zeros(0))
    assert Alone("lm").refine(Room(), capture()[0], nothing).status is Status.NO_HYPOTHESIS
