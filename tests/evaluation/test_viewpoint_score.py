import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.data.view_list import ViewList, read_views
from resect.errors import ResectError
from resect.evaluation.viewpoint_score import Viewpoints, answers_in, score_viewpoints, write_answers


def truth() -> ViewList:
    viewpoint = torch.zeros(6, 3, dtype=torch.float64)
    viewpoint[:, 0] = torch.arange(6) * math.pi / 3
    models, names = ("a/1",) * 4 + ("b/1",) * 2, tuple(f"{i}.png" for i in range(6))
    return ViewList(Path(), models, names, viewpoint, torch.ones(6), torch.ones(6))


def test_right_answers_score_full_marks() -> None:
    found = score_viewpoints(Viewpoints(truth().viewpoint, torch.ones(6)), truth())
    assert found.mean.acc_30 == 1
    assert found.mean.median_deg == pytest.approx(0, abs=1e-4)
    assert set(found.mean.avp.values()) == {1.0}
    assert found.categories["a"].images == 4
    assert "AVP-24" in found.text()


def test_categories_are_scored_apart_and_count_alike() -> None:
    turned = truth().viewpoint.clone()
    turned[:4, 0] += math.radians(40)  # all of "a"
    turned[4:, 0] += math.radians(20)  # all of "b"
    found = score_viewpoints(Viewpoints(turned, torch.ones(6)), truth())
    assert (found.categories["a"].acc_30, found.categories["b"].acc_30) == (0, 1)
    assert found.mean.acc_30 == 0.5
    assert found.mean.median_deg == pytest.approx(30)


def test_a_turn_of_31_degrees_is_not_within_30() -> None:
    """Published scripts divide a spectral norm by √2, by which 31° of error count as 22°."""
    turned = truth().viewpoint + torch.tensor([math.radians(31) - 2 * math.pi, 0, 0], dtype=torch.float64)
    found = score_viewpoints(Viewpoints(turned, torch.ones(6)), truth())
    assert found.mean.acc_30 == 0
    assert found.mean.median_deg == pytest.approx(31)
    assert found.mean.azimuth_deg == pytest.approx(31)
    assert found.mean.elevation_deg == pytest.approx(0)


def test_a_missing_answer_is_a_wrong_one(tmp_path: Path) -> None:
    viewpoint = truth().viewpoint.clone()
    viewpoint[[1, 4, 5]] = torch.nan
    found = score_viewpoints(Viewpoints(viewpoint, torch.ones(6)), truth())
    assert found.categories["a"].missing == 1
    assert found.categories["a"].acc_30 == 0.75
    assert found.categories["b"].as_json()["median_deg"] is None
    assert found.categories["a"].avp[24] == pytest.approx(0.75)
    write_answers(Viewpoints(viewpoint, torch.ones(6)), truth(), tmp_path / "answers.txt")
    again = score_viewpoints(answers_in(read_views(tmp_path / "answers.txt"), truth()), truth())
    assert again.mean.acc_30 == found.mean.acc_30


def test_confidence_ranks_right_azimuths_first() -> None:
    turned = truth().viewpoint[:4].clone()
    turned[2:, 0] += math.pi
    four = replace(truth(), models=("a/1",) * 4, names=truth().names[:4], viewpoint=truth().viewpoint[:4])
    sure, unsure = torch.tensor([4.0, 3, 2, 1]), torch.tensor([1.0, 2, 3, 4])
    assert score_viewpoints(Viewpoints(turned, sure), four).mean.avp[8] == pytest.approx(0.5)
    assert score_viewpoints(Viewpoints(turned, unsure), four).mean.avp[8] == pytest.approx((1 / 2 + 1 / 2) / 4)


def test_answers_to_other_images_are_said() -> None:
    other = replace(truth(), names=tuple(f"x{i}.png" for i in range(6)))
    with pytest.raises(ResectError, match="as in the truth"):
        answers_in(other, truth())
