import math

import torch
from ball import Ball, RayBall, photograph
from sensor import SIGMA, Box, Sensor, orbit, photo, start

from resect.geometry import so3
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3
from resect.geometry.symmetry import Symmetries
from resect.refine.levenberg_marquardt import LMSettings, levenberg_marquardt
from resect.refine.objectives import Difference
from resect.refine.robust import Robust
from resect.refine.rows import photometric
from resect.refine.view import Meter, view
from resect.tracking.tracker import Fate, TrackedFrame, Tracker, TrackSettings, follow
from resect.types import Estimate, Hypotheses, Photo, Status


class Anywhere:
    """A prior that knows the way."""

    def __init__(self, poses: SE3) -> None:
        self.poses = poses

    def propose(self, photo: Photo, count: int, generator: torch.Generator) -> Hypotheses:
        return Hypotheses(self.poses[:count], torch.zeros(min(count, len(self.poses))), source=("prior",) * count)


def run(sensor: Sensor, count: int, prior: Anywhere | None = None, **settings: float) -> tuple[TrackedFrame, ...]:
    tracker = Tracker(Box(), sensor, prior, TrackSettings(**settings))  # type: ignore[arg-type]
    return follow(tracker, ((photo(k), float(k)) for k in range(count)), start(sensor.truth[0]))


def error(frame: TrackedFrame, true: SE3) -> torch.Tensor:
    assert frame.cam_from_world is not None
    return (frame.cam_from_world @ true.inverse()).log() / SIGMA


def test_every_frame_is_followed_by_its_prediction() -> None:
    sensor = Sensor(orbit(30, 200.0))  # 7° a frame: only a prediction with velocity stays within reach
    frames = run(sensor, 30)
    assert [f.fate for f in frames] == [Fate.FOUND] + [Fate.FOLLOWED] * 29
    assert all(float(error(f, sensor.truth[k]).abs().max()) < 5 for k, f in enumerate(frames))
    assert all(source == ("prediction", "last") for k, source in sensor.asked if k)
    surprise = torch.tensor([f.surprise for f in frames[5:]])
    assert float(surprise.max()) < 27.9


def test_a_lost_frame_has_no_pose_and_the_rest_goes_on() -> None:
    sensor = Sensor(orbit(20), blind=frozenset({7, 8, 12}))
    frames = run(sensor, 20)
    assert [k for k, f in enumerate(frames) if f.fate is Fate.LOST] == [7, 8, 12]
    assert all((f.cam_from_world is None) == (k in (7, 8, 12)) for k, f in enumerate(frames))
    assert frames[9].fate is Fate.FOLLOWED
    assert frames[7].status.name == "NO_AGREEMENT"


def test_a_wrong_pose_is_an_outlier() -> None:
    sensor = Sensor(orbit(20), fooled=frozenset({10}))
    frames = run(sensor, 20, turn_deg=1.0, shift=0.02)
    assert frames[10].fate is Fate.OUTLIER
    assert frames[10].cam_from_world is None
    assert (frames[10].surprise or 0) > 27.9
    assert all(f.fate.ok for k, f in enumerate(frames) if k != 10)


def test_the_published_rule_drops_jumps() -> None:
    sensor = Sensor(orbit(20, 40.0), fooled=frozenset({10}))
    frames = run(sensor, 20, turn_deg=60.0, shift=3.0, gate=1e9, max_jump=0.35)
    assert [k for k, f in enumerate(frames) if f.fate is Fate.OUTLIER] == [10]


def test_it_is_found_again_at_a_key_frame() -> None:
    """The camera jumps back to where it had been; no prediction can know that."""
    order = [*range(12), *range(2, 8)]
    path = orbit(12, 85.0)
    sensor = Sensor(SE3(path.R[order], path.t[order]))
    frames = run(sensor, 18, patience=2)
    assert [f.fate.ok for f in frames[12:14]] == [False, False]
    assert Fate.FOUND in {f.fate for f in frames[14:16]}
    assert frames[-1].fate is Fate.FOLLOWED
    assert any(source and source[0].startswith("key-frame") for _, source in sensor.asked)


def test_it_is_found_again_by_a_prior() -> None:
    path = orbit(12, 40.0)
    far = orbit(30, 300.0)[20:26]
    truth = SE3.cat([path, far])
    sensor = Sensor(truth)
    assert not any(f.fate.ok for f in run(sensor, 18)[12:])
    frames = run(sensor, 18, Anywhere(orbit(60, 354.0)))
    assert frames[-1].fate.ok
    assert float(error(frames[-1], truth[17]).abs().max()) < 5


def test_what_is_searched_for_in_the_same_frame_need_not_be_near() -> None:
    truth = SE3.cat([orbit(12, 40.0), orbit(30, 300.0)[20:26]])
    frames = run(Sensor(truth), 18, Anywhere(orbit(60, 354.0)), patience=0)
    assert all(f.fate.ok for f in frames)
    assert frames[12].fate is Fate.FOUND
    assert float(error(frames[12], truth[12]).abs().max()) < 5


def test_of_two_modes_the_one_that_follows_is_taken() -> None:
    sensor = Sensor(orbit(10, 30.0), twofold=True)
    tracker = Tracker(Box(), sensor)
    frames = [tracker.step(photo(0), 0.0, start(sensor.truth[0]))]
    first = frames[0].cam_from_world
    assert first is not None
    frames += [tracker.step(photo(k), float(k)) for k in range(1, 10)]
    assert all(f.fate.ok for f in frames)
    poses = SE3.stack([f.cam_from_world for f in frames if f.cam_from_world is not None])
    turns = (poses[1:] @ poses[:-1].inverse()).log()[:, 3:].norm(dim=-1).rad2deg()
    assert float(turns.max()) < 10  # never from front to back


def test_the_world_of_a_symmetric_object_does_not_turn() -> None:
    """Now the pose from the front is found, now that from behind."""
    sensor = Sensor(orbit(15, 130.0), twofold=True, reach_deg=360.0, reach=9.0, one=True)
    twofold = Symmetries(
        SE3(so3.exp(torch.tensor([[0.0, 0, 0], [0, 0, math.pi]]).double()), torch.zeros(2, 3).double())
    )
    tracker = Tracker(Box(), sensor, symmetries=twofold)
    frames = follow(tracker, ((photo(k), float(k)) for k in range(15)), start(sensor.truth[0]))
    found = SE3.stack([f.cam_from_world for f in frames if f.cam_from_world is not None])
    assert len(found) == 15
    off = (found @ sensor.truth.inverse()).log()[:, 3:].norm(dim=-1)
    assert float((off - off[0]).abs().max()) < 0.1  # whichever way round it began
    plain = follow(Tracker(Box(), sensor), ((photo(k), float(k)) for k in range(15)), start(sensor.truth[0]))
    assert not all(f.fate.ok for f in plain)


def test_nothing_to_start_from() -> None:
    tracker = Tracker(Box(), Sensor(orbit(3)))
    assert tracker.step(photo(0), 0.0).fate is Fate.LOST


class Colours:
    """The least refiner there is: Levenberg–Marquardt on all pixels; it states no covariance."""

    def refine(self, scene: Ball, photo: Photo, hypotheses: Hypotheses) -> Estimate:
        at = view(scene, photo, 32, Meter(), 1)
        term = photometric(at, Difference(at.channel), Robust("cauchy", 0.1))
        end = levenberg_marquardt(term, hypotheses.cam_from_world, LMSettings(steps=8, stop=1e-4))
        return Estimate(Status.OK, Hypotheses(end.cam_from_world, hypotheses.log_weight))


def test_a_camera_in_a_ball_by_its_colours() -> None:
    """A closed-form scene, photographed."""
    a = torch.linspace(0, 0.3, 4, dtype=torch.float64)
    centers = torch.stack([0.5 * a, 0.3 * a.sin(), 0.2 * a], -1)
    truth = look_at(centers, torch.tensor([2.0, 0.5, 0.0], dtype=torch.float64) + a[:, None])
    scene = RayBall()
    photos = [(photograph(scene, truth[k].float()), float(k)) for k in range(4)]
    frames = follow(Tracker(scene, Colours()), photos, start(truth[0].float()))
    assert [f.fate.ok for f in frames] == [True] * 4
    for k, frame in enumerate(frames):
        assert frame.cam_from_world is not None
        off = (frame.cam_from_world @ truth[k].inverse()).log()
        assert float(off[:3].norm()) < 0.02
        assert float(off[3:].norm().rad2deg()) < 0.5
