from pathlib import Path

import pytest

from resect.data.split import load_split, make_split, require, save_split
from resect.errors import ResectError
from resect.types import PhotoSet, Split


def test_every_holds_out_the_first_of_each(photos: PhotoSet) -> None:
    split = make_split(photos, "every:4")
    assert split.test == (0, 4, 8)
    assert sorted(split.train + split.test) == list(range(10))
    assert make_split(photos).rule == "every:8"


def test_blocks_hold_out_the_last_of_each_period(photos: PhotoSet) -> None:
    assert make_split(photos, "blocks:2:3").test == (4, 5)


def test_file_of_names(photos: PhotoSet, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("# held out\nimages/003.png\nimages/001.png\n")
    assert make_split(photos, f"file:{tmp_path}/names.txt").test == (1, 3)
    (tmp_path / "names.txt").write_text("images/003.png\nimages/lost.png\n")
    with pytest.raises(ResectError, match=r"lost\.png"):
        make_split(photos, f"file:{tmp_path}/names.txt")


@pytest.mark.parametrize("rule", ["every:0", "every:x", "blocks:20", "random", "every:1", "blocks:20:4", "given", ""])
def test_bad_rules_are_errors(photos: PhotoSet, rule: str) -> None:
    if rule == "":
        assert make_split(photos, rule).rule == "every:8"
        return
    with pytest.raises(ResectError):
        make_split(photos, rule)


def test_saved_by_name_and_checked_when_read(photos: PhotoSet, tmp_path: Path) -> None:
    split = make_split(photos, "every:3")
    save_split(split, photos, tmp_path / "split.json")
    assert load_split(tmp_path / "split.json", photos) == split
    fewer = photos.subset(range(1, 10))
    with pytest.raises(ResectError, match=r"images/000\.png"):
        load_split(tmp_path / "split.json", fewer)
    later = photos.subset([3, 2, 1, 0, *range(4, 10)])
    assert load_split(tmp_path / "split.json", later).test == (3, 0, 6, 9)
    (tmp_path / "split.json").write_text('{"rule": "every:8", "train": [1], "test": []}')
    with pytest.raises(ResectError, match="'rule'"):
        load_split(tmp_path / "split.json", photos)


def test_overlap_is_refused() -> None:
    with pytest.raises(ResectError):
        Split((0, 1), (1,), "x")


def test_require_counts(photos: PhotoSet) -> None:
    require(photos, 10)
    with pytest.raises(ResectError, match="at least 2 posed photos for fit"):
        require(photos.subset([0]), 2, "fit")


def test_none_holds_nothing_out(photos: PhotoSet) -> None:
    assert make_split(photos, "none") == Split(tuple(range(10)), (), "none")
    with pytest.raises(ResectError):
        make_split(photos, "none:3")
    with pytest.raises(ResectError, match="at least 1"):
        make_split(photos.subset([]), "none")
