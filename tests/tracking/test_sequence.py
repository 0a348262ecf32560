from pathlib import Path

import pytest
import torch
from sensor import Box, Sensor, orbit, photo, start

from resect.data.trajectory import read_trajectory, write_trajectory
from resect.errors import ResectError
from resect.evaluation.trajectory_score import TrajectorySettings, score_trajectory
from resect.geometry.se3 import SE3
from resect.geometry.trajectory import Trajectory
from resect.tracking.sequence import combine
from resect.tracking.tracker import TrackedFrame, Tracker, follow

COUNT = 24
PLACE = SE3.exp(torch.tensor([0.8, -0.5, 0.1, 0.2, 0.1, 1.0], dtype=torch.float64))


def followed(place: SE3, blind: frozenset[int] = frozenset(), first: int = 0) -> tuple[TrackedFrame, ...]:
    """An object at a place of the world, seen from frame `first` on."""
    truth = orbit(COUNT) @ place
    tracker = Tracker(Box(), Sensor(truth, blind | set(range(first))))
    found = follow(tracker, ((photo(k), float(k)) for k in range(first)), start(truth[0]))
    later = follow(tracker, ((photo(k), float(k)) for k in range(first, COUNT)), start(truth[first]))
    return (*found, *later)


def ate(track: object) -> float:
    found = track.trajectory()  # type: ignore[attr-defined]
    true = Trajectory(torch.arange(COUNT).double(), orbit(COUNT).inverse(), tuple(str(k) for k in range(COUNT)))
    return score_trajectory(found, true, TrajectorySettings(align="none")).as_json()["ate_rmse"]


def test_one_object_is_the_world() -> None:
    frames = followed(SE3.identity(dtype=torch.float64), frozenset({5, 6}))
    raw, smooth = combine([frames], smoothed=False), combine([frames])
    assert raw.rows == smooth.rows == tuple(k for k in range(COUNT) if k not in (5, 6))
    assert ate(smooth) < 0.8 * ate(raw)
    assert len(smooth.trajectory()) == COUNT - 2  # nothing stands in for a lost frame
    assert smooth.covariance.shape == (COUNT - 2, 6, 6)


def test_a_second_object_is_registered_and_helps() -> None:
    one, other = followed(SE3.identity(dtype=torch.float64)), followed(PLACE, first=6)
    both = combine([one, other])
    assert both.registered == (0, 1)
    off = (both.world_from_obj[1] @ PLACE.inverse()).log()
    assert float(off[:3].norm()) < 0.05
    assert ate(both) < ate(combine([one]))


def test_the_path_goes_on_where_only_another_object_is_seen() -> None:
    one = followed(SE3.identity(dtype=torch.float64), frozenset(range(14, COUNT)))
    other = followed(PLACE, first=6)
    both = combine([one, other])
    assert both.rows == tuple(range(COUNT))
    assert ate(both) < 0.08


def test_an_object_never_seen_together_is_left_out_and_said() -> None:
    one = followed(SE3.identity(dtype=torch.float64), frozenset(range(6, COUNT)))
    both = combine([one, followed(PLACE, first=6)])
    assert (both.registered, both.rows) == ((0,), tuple(range(6)))
    assert "Object 1" in both.notes[0]


def test_chains_of_objects() -> None:
    """0 with 1, and 1 with 2, never 0 with 2."""
    far = SE3.exp(torch.tensor([-0.5, 0.9, 0.0, 0.0, 0.3, 2.0], dtype=torch.float64))
    one = followed(SE3.identity(dtype=torch.float64), frozenset(range(10, COUNT)))
    both = combine([one, followed(PLACE), followed(far, first=12)])
    assert both.registered == (0, 1, 2)
    assert float((both.world_from_obj[2] @ far.inverse()).log()[:3].norm()) < 0.1


def test_nothing_found_is_an_error() -> None:
    frames = followed(SE3.identity(dtype=torch.float64), frozenset(range(COUNT)))
    with pytest.raises(ResectError, match=r"first object.*NO_AGREEMENT"):
        combine([frames])
    with pytest.raises(ResectError, match="same frames"):
        combine([frames, frames[:3]])


def test_written_as_a_trajectory(tmp_path: Path) -> None:
    track = combine([followed(SE3.identity(dtype=torch.float64), frozenset({3}))])
    write_trajectory(track.trajectory(), tmp_path / "t.txt")
    again = read_trajectory(tmp_path / "t.txt")
    assert again.stamps == tuple(str(k) for k in range(COUNT) if k != 3)
    torch.testing.assert_close(again.world_from_cam.t, track.cam_from_world.center)
