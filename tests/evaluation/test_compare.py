import csv
import io
import math
from pathlib import Path

import pytest
import torch
from photo_sets import make_photos, split_of
from rich.console import Console
from test_report import check

from resect.errors import ResectError
from resect.evaluation.compare import (
    compare,
    comparison_csv,
    comparison_html,
    comparison_tables,
    remarks,
    write_comparison,
)
from resect.evaluation.pose_file import PoseList, PoseRow
from resect.evaluation.reference import reference_from_photos
from resect.evaluation.score import Score, score
from resect.geometry.se3 import SE3


def scored(degrees: float, *, failed: int = 0, count: int = 8, meters: float | None = None) -> Score:
    photos = make_photos(count, meters_per_unit=meters)
    reference = reference_from_photos(photos, split_of(photos))
    turn = SE3.exp(torch.tensor([0, 0, 0, math.radians(degrees), 0, 0], dtype=torch.float64))
    rows = tuple(
        PoseRow(n, "OK", turn @ reference.cam_from_world[i]) if i >= failed else PoseRow(n, "NO_AGREEMENT", None)
        for i, n in enumerate(reference.names)
    )
    return score(PoseList(rows, "scene", "resect"), reference)


def test_rows_and_their_order():
    rows = compare({"good": scored(0.2), "half": scored(2.0, failed=2)})
    assert [r["run"] for r in rows] == ["good", "half"]
    assert rows[0]["median rotation"] == "0.20°"
    assert rows[1]["median rotation"] == "–"
    assert rows[1]["5°, 0.05 scale"] == "50.0 %"
    assert not any("cm" in key for key in rows[0])
    assert any("cm" in key for key in compare({"a": scored(0.2, meters=1.0)})[0])


def test_the_table_for_the_terminal():
    console = Console(file=io.StringIO(), width=240)
    names = ["a", "b", "[red]", *(f"runs/of-a-long-name-{k}/poses" for k in range(6))]
    runs = {name: scored(3.0 if name == "b" else 0.2, meters=1.0) for name in names}
    for table in comparison_tables(runs):
        console.print(table)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    assert "[red]" in text
    assert "0.20°" in text
    assert "3.00°" in text


def test_the_csv_holds_full_numbers():
    rows = list(csv.DictReader(io.StringIO(comparison_csv({"a,b": scored(0.2), "c": scored(1.0, failed=4)}))))
    assert rows[0]["run"] == "a,b"
    assert float(rows[0]["median_rotation_deg"]) == pytest.approx(0.2)
    assert rows[1]["median_rotation_deg"] == ""
    assert float(rows[1]["recall_5deg_0.05scale"]) == 0.0


def test_the_page_overlays_curves_and_names_differences(tmp_path: Path):
    scores = {"good": scored(0.2), "<b>half": scored(0.2, failed=1)}
    html = comparison_html(scores)
    check(html)
    assert html.count('class="line"') == 4
    assert "Where they differ" in html
    assert "<b>half" not in html
    assert "Where they differ" not in comparison_html({"good": scored(0.2)})
    path = write_comparison(tmp_path, scores)
    assert path.read_text("utf-8") == html
    with pytest.raises(ResectError, match="existing"):
        write_comparison(tmp_path, scores)


def test_runs_over_other_photos_are_said():
    notes = remarks({"a": scored(0.2), "b": scored(0.2, count=12, meters=1.0)})
    assert "6 photos, 'a' on 4; 4 are shared" in notes[0]
    assert "different units" in notes[1]
    assert remarks({"a": scored(0.2), "b": scored(9.0)}) == []
    with pytest.raises(ResectError, match="between 1 and"):
        compare({})
