import math
from pathlib import Path

import pytest
from tests.evaluation.known_rotations import COUNT, SHARPNESS, knowing, known_set

from resect.data.rotation_set import RotationSet
from resect.errors import ResectError
from resect.evaluation.rotation_report import write_rotation_report
from resect.evaluation.rotation_score import best_and_worst, score_rotations


def test_who_knows_the_rotations_is_right_and_explains_them_as_well_as_its_width_allows() -> None:
    found = score_rotations(knowing(), known_set()).as_json()
    # exp(κ tr) is nearly Gaussian, exp(−κ ω² ) in the turn ω: its peak in Haar measure is √π (8 π² / …).
    peak = 1.5 * math.log(SHARPNESS / math.pi) + math.log(8 * math.pi**2) - 2 * math.log(math.pi)
    assert found["log_likelihood"] == pytest.approx(peak, abs=0.35)
    assert found["log_likelihood"] < found["ceiling"]
    assert found["median_deg"] < 3
    assert (found["acc_15"], found["acc_30"], found["images"], found["grid_level"]) == (1, 1, COUNT, 4)
    assert set(found["classes"]) == {"a", "b"}


def test_a_turn_off_costs_accuracy() -> None:
    found = score_rotations(knowing(off_deg=20.0), known_set(), level=3)
    facts = found.as_json()
    assert facts["median_deg"] == pytest.approx(20, abs=5)
    assert facts["acc_30"] == 1
    assert facts["acc_15"] < 0.5
    assert facts["grid_level"] == 3


def test_equivalents_count_where_they_are_known() -> None:
    both = score_rotations(knowing(symmetric=True), known_set(symmetric=True), level=3)
    one = score_rotations(knowing(symmetric=True), known_set(), level=3)
    assert both.as_json()["reduced_median_deg"] < 5
    assert both.as_json()["log_likelihood"] == pytest.approx(one.as_json()["log_likelihood"], abs=0.3)
    assert both.as_json()["ceiling"] == pytest.approx(one.as_json()["ceiling"] - math.log(2))
    assert "not known" in one.text()
    assert "not known" not in both.text()


def test_the_report_and_the_table_hold_every_image(tmp_path: Path) -> None:
    prior, data = knowing(), known_set()
    score = score_rotations(prior, data, level=3)
    path = write_rotation_report(tmp_path, prior, data, score, pictures=2)
    page = path.read_text()
    assert page.count("<figure>") == 2
    assert "http" not in page.replace("http-equiv", "")
    assert len((tmp_path / "images.csv").read_text().splitlines()) == COUNT + 1
    assert (tmp_path / "score.json").is_file()
    with pytest.raises(ResectError, match="existing report"):
        write_rotation_report(tmp_path, prior, data, score)


def test_pictures_go_from_the_best_to_the_worst() -> None:
    score = score_rotations(knowing(), known_set(), level=3)
    order = best_and_worst(score, 3)
    likelihood = [one.log_likelihood for one in score.judged]
    assert likelihood[order[0]] == max(likelihood)
    assert likelihood[order[-1]] == min(likelihood)
    assert sorted(best_and_worst(score, 99)) == list(range(COUNT))


def test_an_empty_set_is_refused() -> None:
    empty: RotationSet = known_set().subset([])
    with pytest.raises(ResectError, match="at least one"):
        score_rotations(knowing(), empty)
