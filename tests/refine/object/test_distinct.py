import torch
from solids_in_view import CAMERA, painted, photograph, pose

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.refine.halving import Candidates
from resect.refine.object.distinct import alike, distinct
from resect.refine.object.settings import ObjectSettings
from resect.refine.object.sight import Work


def work() -> Work:
    return Work(painted(), photograph(painted(), pose(0)), ObjectSettings())


def moved(at: SE3, turn_rad: float, shift: tuple[float, float, float], middle: torch.Tensor) -> SE3:
    """Turned about the object's middle, which is then shifted."""
    turn = so3.exp(torch.tensor([0.0, turn_rad, 0.0])) @ at.R
    place = (at.R @ middle[:, None])[..., 0] + at.t + torch.tensor(shift)
    return SE3(turn, place - (turn @ middle[:, None])[..., 0])


def test_poses_are_alike_by_what_they_move_of_the_picture() -> None:
    on, at = work(), pose(0, distance=300.0)
    across, along = 0.05 * on.radius, 0.05 * 300.0  # a twentieth of the radius, and of the distance
    cases = [
        (0.0, (0.0, 0.0, 0.0)),
        (0.05, (0.0, 0.0, 0.0)),  # three degrees move the camera by half a radius: as seen from the object
        (0.0, (across, 0.0, 0.0)),
        (0.0, (0.0, 0.0, along)),
        (0.0, (3 * across, 0.0, 0.0)),
        (0.0, (0.0, 0.0, 3 * along)),
        (0.2, (0.0, 0.0, 0.0)),
    ]
    poses = SE3.cat([moved(at, turn, shift, on.middle) for turn, shift in cases])
    same = alike(on, poses, 6.0, 0.1)
    assert torch.equal(same, same.mT)
    assert same[0].tolist() == [True, True, True, True, False, False, False]


def test_the_best_of_each_stays_in_order() -> None:
    on, at = work(), pose(0)
    poses = SE3.cat([moved(at, turn, (0.0, 0.0, 0.0), on.middle) for turn in (0.0, 0.02, 0.5, 0.52, 1.0)])
    scores = torch.tensor([0.1, 0.4, 0.3, 0.2, float("nan")])
    found = distinct(on, Candidates(poses, scores, torch.arange(5)), 5, 6.0, 0.1)
    assert found.parent.tolist() == [1, 2, 4]
    assert len(distinct(on, Candidates(poses, scores, torch.arange(5)), 1, 6.0, 0.1).score) == 1
    assert CAMERA.width > 0
