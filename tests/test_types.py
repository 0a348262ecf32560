"""The records: what they refuse, how they are cut, and that truth cannot travel with a photo."""

import dataclasses
from pathlib import Path

import pytest
import torch

from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Cost, Estimate, Hypotheses, Photo, PhotoSet, Split, Status, Truth, World

CAMERA = Camera(100.0, 100.0, 8.0, 6.0, 16, 12)


def some_poses(count: int) -> SE3:
    rotations = so3.random(count, generator=torch.Generator().manual_seed(0))
    return SE3(rotations, torch.arange(3.0 * count).view(count, 3))


def some_hypotheses(count: int = 4) -> Hypotheses:
    return Hypotheses(
        some_poses(count),
        torch.linspace(0, -3, count),
        torch.diag_embed(torch.arange(1.0, 7.0)).repeat(count, 1, 1),
        torch.arange(2.0 * count).view(count, 2),
        tuple(f"view-sphere:{i}" for i in range(count)),
    )


def photo_set(count: int) -> PhotoSet:
    def load(i: int) -> Photo:
        return Photo(f"{i}.png", torch.full((12, 16, 3), i / 10), CAMERA)

    names = tuple(f"{i}.png" for i in range(count))
    split = Split((0,), (1,), "given")
    return PhotoSet(
        Path("x"), "test", names, (CAMERA,) * count, Truth(some_poses(count)), World(), load, given_split=split
    )


def test_a_photo_cannot_hold_a_pose() -> None:
    names = {f.name for f in dataclasses.fields(Photo)}
    assert names == {"name", "image", "camera", "camera_source", "target", "depth", "alpha", "mask"}
    kinds = " ".join(str(f.type) for f in dataclasses.fields(Photo))
    assert "SE3" not in kinds
    assert "Truth" not in kinds


def test_an_unknown_camera_says_how_to_give_one() -> None:
    photo = Photo("a.jpg", torch.zeros(2, 2, 3))
    with pytest.raises(ResectError, match=r"a\.jpg.*--camera FILE or --fov-deg"):
        photo.known_camera()
    assert dataclasses.replace(photo, camera=CAMERA).known_camera() is CAMERA


@pytest.mark.parametrize("record", [SE3, Photo, Truth, PhotoSet, Hypotheses, Estimate, Split, Camera])
def test_records_are_frozen(record: type) -> None:
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_every_status_that_fails_says_what_to_do() -> None:
    assert {s.name for s in Status if s.ok} == {"OK", "AMBIGUOUS", "NOT_IMPROVED"}
    for status in Status:
        assert status.sentence.endswith(".")
        assert status.advice or status is Status.OK
    assert len(Status) == 10  # members with equal values would become aliases of one another


def test_a_split_with_a_photo_in_both_halves_is_refused() -> None:
    with pytest.raises(ResectError, match="1 shared"):
        Split((0, 1, 2), (2, 3), "every:8")
    assert Split((0,), (1,), "every:8").train == (0,)


def test_a_subset_keeps_photos_names_cameras_and_poses_together() -> None:
    photos = photo_set(6)
    some = photos.subset([4, 1, 3])
    assert len(some) == 3
    assert some.names == ("4.png", "1.png", "3.png")
    assert [p.name for p in some] == list(some.names)
    assert torch.equal(some.truth.cam_from_world.t, photos.truth.cam_from_world.t[[4, 1, 3]])
    assert some.given_split is None
    again = some.subset([2])
    assert again[0].name == "3.png"
    assert len(photos.subset([])) == 0


def test_taking_hypotheses_takes_everything_of_them() -> None:
    some = some_hypotheses()
    for taken in (some.take([3, 0]), some.take(torch.tensor([3, 0]))):
        assert len(taken) == 2
        assert torch.equal(taken.cam_from_world.t, some.cam_from_world.t[[3, 0]])
        assert torch.equal(taken.log_weight, some.log_weight[[3, 0]])
        assert torch.equal(taken.code, some.code[[3, 0]])  # type: ignore[arg-type, index]
        assert taken.information.shape == (2, 6, 6)  # type: ignore[union-attr]
        assert taken.source == ("view-sphere:3", "view-sphere:0")
    assert len(some.take([])) == 0


def test_an_oracle_among_hypotheses_is_seen() -> None:
    assert not some_hypotheses().oracle
    mixed = dataclasses.replace(some_hypotheses(2), source=("landmarks", "oracle:0"))
    assert mixed.oracle
    assert not mixed.take([0]).oracle


@pytest.mark.parametrize("status", list(Status))
def test_a_failed_estimate_has_no_pose_even_with_modes(status: Status) -> None:
    estimate = Estimate(status, some_hypotheses())
    assert estimate.ok == status.ok
    assert (estimate.cam_from_world is not None) == status.ok
    assert (estimate.covariance is not None) == status.ok


def test_pose_and_covariance_are_the_first_modes() -> None:
    estimate = Estimate(Status.OK, some_hypotheses())
    assert estimate.cam_from_world is not None
    assert torch.equal(estimate.cam_from_world.t, torch.tensor([0.0, 1, 2]))
    expected = torch.diag(1 / torch.arange(1.0, 7.0, dtype=torch.float64))
    torch.testing.assert_close(estimate.covariance, expected)
    assert Estimate(Status.NO_HYPOTHESIS).covariance is None
    unknown = dataclasses.replace(some_hypotheses(), information=None)
    assert Estimate(Status.OK, unknown).covariance is None


def test_costs_add_up() -> None:
    total = Cost(1.5, 100, (("coarse", 20.0),)) + Cost(0.5, 50, (("polish", 30.0),))
    assert (total.renders, total.rays, total.seconds) == (2.0, 150, 0.05)
    assert total.ms == (("coarse", 20.0), ("polish", 30.0))


@pytest.mark.parametrize("value", [0.0, float("nan"), 1e-320])
def test_a_singular_or_broken_information_has_no_covariance(value: float) -> None:
    information = torch.diag(torch.tensor([1.0, 1, 1, 1, 1, value], dtype=torch.float64))[None]
    modes = Hypotheses(SE3.identity(1), torch.zeros(1), information)
    assert Estimate(Status.OK, modes).covariance is None


def test_several_are_one_and_the_heaviest_come_first() -> None:
    known = dataclasses.replace(some_hypotheses(2), information=torch.eye(6).expand(2, 6, 6))
    light = dataclasses.replace(known, log_weight=known.log_weight.amin() - torch.tensor([2.0, 1.0]))
    both = Hypotheses.cat([light, known])
    assert len(both) == 4
    assert both.source == light.source + known.source
    assert both.information is not None
    best = both.best(3)
    assert best.log_weight.tolist() == sorted(both.log_weight.tolist(), reverse=True)[:3]
    torch.testing.assert_close(best.cam_from_world.t[2], light.cam_from_world.t[1])
    unknown = dataclasses.replace(known, information=None)
    assert Hypotheses.cat([unknown, known]).information is None
