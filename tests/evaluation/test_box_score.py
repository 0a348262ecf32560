import json
from pathlib import Path

import pytest
import torch

from resect.cli.main import main
from resect.data.box_list import is_box_list, read_box_list
from resect.errors import ResectError
from resect.evaluation.box_report import edges
from resect.evaluation.box_score import score_boxes

TRUE = "chair 01 0 1 0 1 0 1\nchair 02 0 2 0 1 0 1\nstool 01 0 1 0 1 5 6\n"
GIVEN = "chair 02 1 3 0 1 0 1\nchair 01 0 1 0 1 0 1\ntable 01 0 1 0 1 0 1\n"


def _files(folder: Path) -> tuple[Path, Path]:
    (folder / "given.txt").write_text(GIVEN)
    (folder / "true.txt").write_text(TRUE)
    return folder / "given.txt", folder / "true.txt"


def test_boxes_are_matched_by_name_and_missing_ones_are_zero(tmp_path: Path) -> None:
    found = score_boxes(*_files(tmp_path))
    assert found.iou.tolist() == pytest.approx([1, 1 / 3, 0])
    facts = found.as_json()
    assert (facts["boxes"], facts["missing"], facts["unknown"]) == (3, 1, 1)
    assert (facts["iou_mean"], facts["iou_median"]) == (pytest.approx(4 / 9), pytest.approx(1 / 3))


def test_the_command_line_tells_by_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, true = _files(tmp_path)
    assert main(["score", str(given), str(true), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["iou_mean"] == pytest.approx(4 / 9)


def test_the_report_draws_both_the_worst_first(tmp_path: Path) -> None:
    given, true = _files(tmp_path)
    out = tmp_path / "report"
    assert main(["score", str(given), str(true), "--report", str(out)]) == 0
    page = (out / "report.html").read_text()
    places = [page.index(said) for said in ("stool 01: no answer", "chair 02: IoU 0.333", "chair 01: IoU 1.000")]
    assert places == sorted(places)
    assert page.count("<title>found</title>") == 4  # two boxes with an answer, in space and from above
    assert json.loads((out / "score.json").read_text())["iou"]["chair 02"] == pytest.approx(1 / 3)
    assert main(["score", str(given), str(true), "--report", str(out)]) == 2


def test_a_box_is_drawn_with_all_its_edges() -> None:
    line = edges(torch.tensor([[0.0, 0, 0], [1, 2, 3]]))
    steps = line.diff(dim=0)
    assert bool(((steps != 0).sum(1) == 1).all())
    assert len({frozenset(map(tuple, pair.tolist())) for pair in line.unfold(0, 2, 1).mT}) == 12


def test_trajectories_are_no_boxes(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("0.5 0 1 0 1 0 1 2\n1.5 0 1 0 1 0 1 2\n")
    assert not is_box_list(path)
    assert not is_box_list(tmp_path / "none")


@pytest.mark.parametrize("line", ["a 0 1 0 1 0", "a 0 1 0 1 0 x", "a 1 0 0 1 0 1", "a 0 1 0 1 0 nan", ""])
def test_bad_lines_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "b.txt"
    path.write_text(line)
    with pytest.raises(ResectError):
        read_box_list(path)


def test_names_must_differ_and_meet(tmp_path: Path) -> None:
    given, true = _files(tmp_path)
    given.write_text("a 0 1 0 1 0 1\na 0 1 0 1 0 1\n")
    with pytest.raises(ResectError, match="different names"):
        score_boxes(given, true)
    given.write_text("a 0 1 0 1 0 1\n")
    with pytest.raises(ResectError, match="chair 01"):
        score_boxes(given, true)
