import math
from dataclasses import replace

import pytest
import torch
from solids_in_view import disturbed, painted, photograph, pose

from resect.data.mask import box_of
from resect.geometry.camera import Camera
from resect.refine.levenberg_marquardt import LMSettings, Normal, State, levenberg_marquardt
from resect.refine.object.boxed import BoxSettings, box_density, box_normal, box_surroundings
from resect.refine.object.shown import Lens
from resect.refine.view import Meter, view

S = BoxSettings()


def rectangle(left: int, top: int, right: int, bottom: int) -> torch.Tensor:
    mask = torch.zeros(1, 60, 80, dtype=torch.bool)
    mask[:, top:bottom, left:right] = True
    return mask


def density(box: tuple[int, int, int, int]) -> float:
    return float(box_density(rectangle(*box), (20.0, 10.0, 60.0, 50.0), S))


def test_what_fits_exactly_is_the_measure_of_all() -> None:
    assert density((20, 10, 60, 50)) == 0.0


@pytest.mark.parametrize("side", range(4))
def test_beyond_the_box_an_object_may_be_hidden_within_it_there_is_no_excuse(side: int) -> None:
    out, inward = [20, 10, 60, 50], [20, 10, 60, 50]
    sign = -1 if side < 2 else 1
    out[side] += sign * 8
    inward[side] -= sign * 8
    beyond, within = density(tuple(out)), density(tuple(inward))  # type: ignore[arg-type]
    assert -4 < beyond < -2
    assert within < beyond - 2


def test_a_wrong_box_costs_no_more_than_four_stray_sides() -> None:
    assert density((78, 58, 80, 60)) > 4 * math.log(0.01 / 11)


def test_what_lies_far_from_the_box_is_not_looked_at() -> None:
    near = box_surroundings(
        (40.0, 30.0, 80.0, 60.0), Camera(100.0, 100.0, 80.0, 60.0, 160, 120), replace(S, around=0.25)
    )
    assert near.nonzero().amin(0).tolist() == [20, 30]
    assert near.nonzero().amax(0).tolist() == [69, 89]
    assert int(near.sum()) == 50 * 60


def test_without_a_silhouette_there_is_nothing_to_fit() -> None:
    assert float(box_density(torch.zeros(1, 60, 80, dtype=torch.bool), (20.0, 10.0, 60.0, 50.0), S)) == -math.inf


def test_steps_move_the_outline_into_the_box() -> None:
    scene, truth = painted(), pose(0)
    at = view(scene, photograph(scene, truth), 160, Meter(), 1)
    lens = Lens(at)
    box = box_of(lens.shown(truth).inside[0])
    middle = at.scene.bounds.mean(0)
    start = disturbed(truth, 0.0, 6.0, 3, middle)

    def system(state: State) -> Normal:
        return box_normal(lens.shown(state.cam_from_world), box, S)

    end = levenberg_marquardt(
        system, start, LMSettings(20, policy="decrease", trust=0.3), length=60.0, pivot=middle
    ).cam_from_world
    before, after = (box_of(lens.shown(p).inside[0]) for p in (start, end))
    assert max(abs(a - b) for a, b in zip(before, box, strict=True)) > 2
    assert max(abs(a - b) for a, b in zip(after, box, strict=True)) <= 1
