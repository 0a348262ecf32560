import json
import math
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from photo_sets import FromPixels, answer, make_photos, split_of

from resect.errors import ResectError
from resect.evaluation.cards import CardSettings
from resect.evaluation.cases import Case, cases_of_answers, cases_of_score
from resect.evaluation.predict import predict
from resect.evaluation.report import ReportSettings, choose, report_html, worst_first, write_report
from resect.evaluation.run_folder import read_run
from resect.evaluation.score import score
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.types import Estimate, Photo, Status

SMALL = ReportSettings(pictures=4, moving=1, cards=CardSettings(side=32, gif_side=24, frames=3, neighbour_side=24))
_EMPTY = {"meta", "img", "input", "link", "br", "line", "path", "circle"}


class Checker(HTMLParser):
    """Collects addresses, and checks that every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag not in _EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in _EMPTY:
            assert self.open.pop() == tag


def check(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert all(a.startswith("data:") for a in checker.addresses)
    assert "http://" not in page
    assert "https://" not in page


def paint(camera: Camera, pose: SE3) -> torch.Tensor:
    return torch.full((camera.height, camera.width, 3), 0.5)


def a_run(tmp_path: Path):
    photos = make_photos(12, meters_per_unit=1.0, broken=(10,))
    truth = photos.truth.cam_from_world

    def change(photo: Photo, estimate: Estimate) -> Estimate:
        i = photos.names.index(photo.name)
        if i == 2:
            return answer(truth[i], status=Status.NO_AGREEMENT)
        off = 0.5 if i == 4 else 0.001
        information = torch.eye(6, dtype=torch.float64)[None] * 1e6
        turned = SE3.exp(torch.tensor([0, 0, 0, off, 0, 0], dtype=torch.float64)) @ truth[i]
        return answer(turned, information=information)

    out = tmp_path / "poses.csv"
    predict(FromPixels(change), photos, split_of(photos), out)
    return photos, out


def test_a_report_of_a_scored_run(tmp_path: Path):
    photos, out = a_run(tmp_path)
    found, run = score(out, photos), read_run(out)
    cases = cases_of_score(found, photos, run)
    path = write_report(tmp_path / "report", cases, score=found, run=run, paint=paint, settings=SMALL)
    page = path.read_text("utf-8")
    check(page)
    for words in (
        "4 of 6 photos were given a pose",
        "NO_AGREEMENT",
        "UNREADABLE",
        "OK, wrong",
        "nearest training photos",
    ):
        assert words in page
    assert page.count("data:image/gif") == 1
    assert "Is the stated uncertainty true?" in page
    assert json.loads((tmp_path / "report" / "score.json").read_text())["photos"] == 6
    with pytest.raises(ResectError, match="existing report"):
        write_report(tmp_path / "report", cases, settings=SMALL)
    write_report(tmp_path / "report", cases, settings=SMALL, overwrite=True)


def test_failures_show_training_photos_only(tmp_path: Path):
    photos, out = a_run(tmp_path)
    held_out = {photos.names[i] for i in split_of(photos).test}
    for case in cases_of_score(score(out, photos), photos, read_run(out)):
        assert bool(case.neighbours) == (case.solved is False)
        assert not held_out & {n.name for n in case.neighbours}


def test_answers_without_truth_make_a_report_too():
    photos = make_photos(6)
    answers = [
        (photos[0], answer(photos.truth.cam_from_world[0])),
        (photos[1], answer(photos.truth.cam_from_world[1], status=Status.NO_AGREEMENT)),
        (replace(photos[2], name='"><script>alert(1)</script>', camera=None), Estimate(Status.NO_HYPOTHESIS)),
    ]
    cases = cases_of_answers(answers, photos.subset([3, 4, 5]))
    page = report_html(cases, paint=paint, settings=SMALL)
    check(page)
    assert "<script>alert" not in page
    assert "1 of 3 photos were given a pose" in page
    assert "rotation error" not in page
    assert cases[1].neighbours
    assert not cases[0].neighbours
    assert cases[0].rotation_deg is None


def test_a_report_needs_no_pictures_and_no_photos(tmp_path: Path):
    photos, out = a_run(tmp_path)
    found = score(out, photos)
    page = report_html(cases_of_score(found), score=found, settings=SMALL)
    check(page)
    assert "data:image" not in page


def test_a_tampered_log_shows_no_way(tmp_path: Path):
    photos, out = a_run(tmp_path)
    log = tmp_path / "poses.run" / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line, trace in zip(
        lines, ([{"cam_from_world": "x"}], [{}], [3], 7, None, [{"cam_from_world": [9] * 7}]), strict=True
    ):
        line |= {"trace": trace, "ms": trace, "load_seconds": "long"}
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for case in cases_of_score(score(out, photos), photos, read_run(out)):
        assert len(case.path) <= 1


def case(name: str, error: float | None, *, answered: bool = True, solved: bool | None = True) -> Case:
    return Case(
        name, "OK" if answered else "NO_AGREEMENT", lambda: make_photos(1)[0], None, (), answered, solved, error
    )


def test_the_worst_come_first_and_a_success_is_shown_too():
    cases = [
        case("a", 0.1),
        case("b", math.inf, answered=False, solved=False),
        case("c", 3.0),
        case("d", 60, solved=False),
    ]
    order = worst_first(cases)
    assert [c.photo for c in order] == ["d", "b", "c", "a"]
    assert [c.photo for c in choose(order, 3)] == ["d", "b", "a"]


def test_the_size_is_bounded():
    photos = make_photos(6)
    cases = cases_of_answers([(p, answer(photos.truth.cam_from_world[i])) for i, p in enumerate(photos)])
    few = report_html(cases, paint=paint, settings=replace(SMALL, pictures=6, max_bytes=1))
    many = report_html(cases, paint=paint, settings=replace(SMALL, pictures=6))
    assert few.count('class="card case"') == 1
    assert many.count('class="card case"') == 6
