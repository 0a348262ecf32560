import json
import math
from pathlib import Path

import pytest
import torch

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.priors.given import Given
from resect.types import Photo

PHOTO = Photo("x", torch.zeros(4, 4, 3))


def start() -> SE3:
    return SE3(so3.exp(torch.tensor([0.3, -0.2, 0.9]).double()), torch.tensor([1.0, 2.0, 3.0]).double())


def test_the_start_comes_first_and_alone_without_sigma() -> None:
    found = Given(start()).propose(PHOTO, 10, torch.Generator())
    assert len(found) == 1
    assert torch.equal(found.cam_from_world.R[0], start().R)
    assert found.information is None
    assert not found.oracle


def test_information_is_the_inverse_of_the_squared_sigmas() -> None:
    found = Given(start(), sigma_deg=2.0, sigma_units=0.1).hypotheses
    assert found.information is not None
    variance = torch.linalg.inv(found.information[0]).diagonal()
    assert torch.allclose(variance[:3], torch.full((3,), 0.01).double())
    assert torch.allclose(variance[3:], torch.full((3,), math.radians(2.0) ** 2).double())


def test_unknown_rotation_has_rows_of_zero_information() -> None:
    found = Given(start(), sigma_units=0.1).hypotheses
    assert found.information is not None
    assert float(found.information[0, 3:].abs().max()) == 0


def test_draws_have_the_stated_spread() -> None:
    given = Given(start(), sigma_deg=3.0, sigma_units=0.2)
    found = given.propose(PHOTO, 5000, torch.Generator().manual_seed(0))
    delta = (found.cam_from_world @ SE3(start().R.expand(5000, 3, 3), start().t.expand(5000, 3)).inverse()).log()
    spread = delta[1:].std(0)
    assert torch.allclose(spread[:3], torch.full((3,), 0.2).double(), rtol=0.05)
    assert torch.allclose(spread[3:], torch.full((3,), math.radians(3.0)).double(), rtol=0.05)
    assert float(delta[0].abs().max()) < 1e-9


def test_file_with_quaternion_and_file_with_matrix_agree(tmp_path: Path) -> None:
    pose = start()
    (tmp_path / "q.json").write_text(json.dumps({"wxyz": so3.to_quaternion(pose.R).tolist(), "t": pose.t.tolist()}))
    (tmp_path / "m.json").write_text(json.dumps({"cam_from_world": pose.matrix().tolist()}))
    a, b = Given.from_file(tmp_path / "q.json", sigma_deg=1.0), Given.from_file(tmp_path / "m.json")
    assert torch.allclose(a.cam_from_world.R, pose.R, atol=1e-9)
    assert torch.allclose(b.cam_from_world.matrix(), pose.matrix(), atol=1e-9)


MIRROR = [[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "keys"),
        ([1, 2], "list"),
        ({"wxyz": [1, 0, 0], "t": [0, 0, 0]}, "wxyz"),
        ({"wxyz": [2, 0, 0, 0], "t": [0, 0, 0]}, "unit quaternion"),
        ({"wxyz": ["a", 0, 0, 0], "t": [0, 0, 0]}, "numbers"),
        ({"cam_from_world": [[1, 0], [0, 1]]}, "shape"),
        ({"cam_from_world": MIRROR}, "rotation"),
        ({"cam_from_world": [[2.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]}, "rotation"),
        ({"cam_from_world": [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]}, "last row"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: object, says: str) -> None:
    path = tmp_path / "start.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ResectError, match=says) as error:
        Given.from_file(path)
    assert "start.json" in str(error.value)


def test_a_batch_or_a_bad_sigma_is_refused() -> None:
    with pytest.raises(ResectError, match="one pose"):
        Given(SE3.identity(2))
    with pytest.raises(ResectError, match="sigma_deg"):
        Given(start(), sigma_deg=-1.0)


def test_about_a_point_that_point_stays_within_its_sigma() -> None:
    pose = SE3(torch.eye(3, dtype=torch.float64), torch.tensor([0.0, 0.0, 10.0], dtype=torch.float64))
    middle = torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64)
    x, y, z = middle[0].tolist()
    given = Given(pose, sigma_deg=20.0, sigma_units=0.05, about=(x, y, z))
    found = given.propose(Photo("p", torch.zeros(2, 2, 3)), 2000, torch.Generator().manual_seed(0))
    moved = found.cam_from_world.apply(middle.expand(2000, 1, 3))[:, 0] - pose.apply(middle)
    assert moved.std(0).tolist() == pytest.approx([0.05] * 3, rel=0.1)
    assert found.information is not None
    covariance = torch.linalg.inv(found.information[0])
    sample = torch.stack([(found.cam_from_world[k] @ pose.inverse()).log() for k in range(200)])
    assert float(sample[:, 0].std()) == pytest.approx(float(covariance[0, 0].sqrt()), rel=0.2)
