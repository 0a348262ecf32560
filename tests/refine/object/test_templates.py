import pytest
import torch
from solids_in_view import apart, disturbed, painted, photograph, pose

from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.refine.object.templates import TemplateSettings, pick, slide
from resect.refine.view import Meter, view


@pytest.mark.parametrize("gain", [0.6, 1.0, 1.4])
def test_the_true_rotation_is_found_at_its_place_whatever_the_exposure(gain: float) -> None:
    scene, truth = painted(), pose(3)
    at = view(scene, photograph(scene, truth, gain=gain), 80, Meter(), 1)
    middle = scene.bounds.mean(0)
    wrong = so3.exp(1.5 * torch.randn(40, 3, generator=torch.Generator().manual_seed(0)))
    rotation = torch.cat([wrong, truth.R])
    center = truth.apply(middle[None, None])[0, 0]
    elsewhere = center + torch.tensor([12.0, -9.0, 0.0])
    candidates = SE3(rotation, elsewhere - rotation @ middle)
    scores, placed = slide(at, candidates, middle, 44, 8, TemplateSettings())
    found = pick(at, scores, placed, middle, 3)
    assert int(found.candidate[0]) == 40
    assert (
        float((found.cam_from_world.apply(middle.expand(3, 1, 3))[0, 0] - center).norm()) < 3.0
    )  # a pixel is 2 units wide
    assert float(found.score[0]) > float(found.score[1]) + 0.05
    assert scores.shape == (41, 17, 17)


def test_scores_lie_between_minus_one_and_one() -> None:
    scene, truth = painted(), pose(4)
    at = view(scene, photograph(scene, truth), 80, Meter(), 1)
    middle = scene.bounds.mean(0)
    many = SE3.cat([disturbed(truth, 60.0, 5.0, k, middle) for k in range(20)])
    scores, _ = slide(at, many, middle, 44, 6, TemplateSettings())
    assert float(scores.abs().max()) <= 1.0 + 1e-5


def test_a_place_at_the_border_is_searched_too() -> None:
    scene, truth = painted(), pose(5)
    moved = SE3(truth.R, truth.t + torch.tensor([[70.0, 0.0, 0.0]]))
    at = view(scene, photograph(scene, moved), 80, Meter(), 1)
    middle = scene.bounds.mean(0)
    start = SE3(moved.R, moved.t - torch.tensor([[10.0, 5.0, 0.0]]))
    scores, placed = slide(at, start, middle, 44, 8, TemplateSettings())
    found = pick(at, scores, placed, middle, 1)
    assert apart(found.cam_from_world, moved)[1] < 4.0
