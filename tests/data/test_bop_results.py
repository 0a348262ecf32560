import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.data.bop import BopResult, read_results, result_of, write_results
from resect.data.bop.results import HEADER, is_results, seconds_per_image
from resect.errors import ResectError
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.types import Cost, Estimate, Hypotheses, Photo, Status, Target

ROW = "3,4,7,0.5,1 0 0 0 1 0 0 0 1,1 2 3,-1"


def _result(count: int = 4) -> BopResult:
    generator = torch.Generator().manual_seed(0)
    poses = SE3(
        so3.random(count, generator=generator, dtype=torch.float64),
        torch.randn(count, 3, generator=generator, dtype=torch.float64) * 1000,
    )
    return BopResult((1,) * count, (0, 0, 1, 1), (5, 6, 5, 6), (0.1, 0.2, 1 / 3, 1.0), poses, (0.5, 0.5, 0.7, 0.7))


def test_what_is_written_reads_back_to_the_last_bit(tmp_path: Path) -> None:
    path, wrote = tmp_path / "resect_lmo-test.csv", _result()
    write_results(path, wrote)
    assert path.read_text().splitlines()[0] == HEADER
    read = read_results(path)
    for name in ("scene", "image", "object_id", "score", "seconds", "notes"):
        assert getattr(read, name) == getattr(wrote, name)
    assert torch.equal(read.cam_from_obj.R, wrote.cam_from_obj.R)
    assert torch.equal(read.cam_from_obj.t, wrote.cam_from_obj.t)
    assert seconds_per_image(read) == pytest.approx(0.6)
    assert seconds_per_image(replace(read, seconds=(-1.0,) * 4)) is None


@pytest.mark.parametrize("name", ["my_method_lmo-test.csv", "method.csv", "method_lmo.csv", "me.thod_lmo-test.csv"])
def test_names_that_the_toolkit_takes_apart_wrongly_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ResectError, match="METHOD_DATASET-SPLIT"):
        write_results(tmp_path / name, _result())
    (tmp_path / name).write_text(f"{HEADER}\n{ROW}\n")
    assert "BOP server" in read_results(tmp_path / name).notes[0]


@pytest.mark.parametrize("name", ["a_lmo-test.csv", "a-b_tless-test-primesense.csv", "a_ycbv-test_some-id.csv"])
def test_names_that_are_right(tmp_path: Path, name: str) -> None:
    write_results(tmp_path / name, _result())
    assert read_results(tmp_path / name).notes == ()


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a_b-test.csv"
    write_results(path, _result())
    with pytest.raises(ResectError, match="a new file"):
        write_results(path, _result())
    write_results(path, _result(), overwrite=True)


def test_what_the_server_would_refuse_is_not_written(tmp_path: Path) -> None:
    path, result = tmp_path / "a_b-test.csv", _result()
    with pytest.raises(ResectError, match="one time"):
        write_results(path, replace(result, seconds=(0.5, 0.6, 0.7, 0.7)))
    broken = SE3(result.cam_from_obj.R, result.cam_from_obj.t * torch.nan)
    with pytest.raises(ResectError, match="finite"):
        write_results(path, replace(result, cam_from_obj=broken))
    assert not path.exists()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("3,4,7,0.5,1 0 0 0 1 0 0 0 1,1 2 3", "7 fields"),
        ("3,4,7.5,0.5,1 0 0 0 1 0 0 0 1,1 2 3,-1", "whole number"),
        ("3,4,7,high,1 0 0 0 1 0 0 0 1,1 2 3,-1", "a number"),
        ("3,4,7,0.5,1 0 0 0 1 0 0 0,1 2 3,-1", "9 numbers"),
        ("3,4,7,0.5,1 0 0 0 1 0 0 0 1,1 2,-1", "3 numbers"),
        ("3,4,7,0.5,1 0 0 0 1 0 0 0 1,1 nan 3,-1", "finite"),
        ("3,4,7,0.5,1 0 0 0 1 0 0 0 -1,1 2 3,-1", "a rotation"),
        ("3,4,7,0.5,2 0 0 0 2 0 0 0 2,1 2 3,-1", "a rotation"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "a_b-test.csv"
    path.write_text(f"{HEADER}\n{ROW}\n{row}\n")
    with pytest.raises(ResectError, match=said) as error:
        read_results(path)
    assert ":3" in str(error.value)


def test_other_files_are_told_apart(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "poses.csv", tmp_path / "a_b-test.csv"
    ours.write_text("photo,target\n")
    theirs.write_text(f"\ufeff{HEADER}\r\n{ROW}\r\n\r\n")
    assert (is_results(ours), is_results(theirs), is_results(tmp_path / "none")) == (False, True, False)
    assert len(read_results(theirs)) == 1
    for path in (ours, tmp_path / "none"):
        with pytest.raises(ResectError):
            read_results(path)


def test_a_file_without_estimates(tmp_path: Path) -> None:
    path = tmp_path / "a_b-test.csv"
    path.write_text(HEADER + "\n")
    assert len(read_results(path)) == 0


def _estimate(t: list[float], log_weight: list[float], ms: float) -> Estimate:
    count = len(log_weight)
    poses = SE3(torch.eye(3).expand(count, 3, 3), torch.tensor(t).expand(count, 3))
    status = Status.OK if count else Status.NOT_CONVERGED
    modes = Hypotheses(poses, torch.tensor(log_weight)) if count else None
    return Estimate(status, modes, cost=Cost(ms=(("all", ms),)))


def _photo(object_id: str, name: str = "test/000002/rgb/000003.png", score: float = 1.0) -> Photo:
    return Photo(name, torch.zeros(2, 2, 3), target=Target(object_id, score=score))


def test_answers_become_results(tmp_path: Path) -> None:
    answers = [
        (_photo("5", score=0.5), _estimate([0.1, 0.2, 1.0], [math.log(0.75), math.log(0.25)], 100.0)),
        (_photo("6"), _estimate([0.0, 0.0, 0.0], [], 300.0)),
        (_photo("6", "000007/gray/12.tif"), _estimate([0, 0, 2.0], [0.0], 50.0)),
    ]
    found = result_of(answers, meters_per_unit=1.0)
    assert (found.scene, found.image, found.object_id) == ((2, 7), (3, 12), (5, 6))
    assert found.cam_from_obj.t.flatten().tolist() == pytest.approx([100, 200, 1000, 0, 0, 2000])
    assert found.score == pytest.approx((0.375, 1.0))
    assert found.seconds == pytest.approx((0.4, 0.05))  # of the whole image, the failure too
    write_results(tmp_path / "resect_made-test.csv", found)
    assert len(result_of([])) == 0


@pytest.mark.parametrize(
    ("object_id", "name"), [("mug", "000002/rgb/3.png"), ("5", "photos/3.png"), ("5", "a/rgb/3.png")]
)
def test_answers_that_are_not_of_a_bop_dataset(object_id: str, name: str) -> None:
    with pytest.raises(ResectError):
        result_of([(_photo(object_id, name), _estimate([0, 0, 1.0], [0.0], 1.0))])
