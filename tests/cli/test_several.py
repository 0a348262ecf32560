"""One of several places by its name."""

from pathlib import Path

import pytest

from resect import artifact
from resect.cli.several import folder_of, note, place_folder
from resect.errors import ResectError


@pytest.fixture
def made(tmp_path: Path) -> Path:
    artifact.save(tmp_path / "d", "pose-decoder", {}, {})
    note(tmp_path / "d", ("kitchen", "hall"))
    return tmp_path / "d"


def test_a_name_after_the_colon_is_a_place(made: Path) -> None:
    assert place_folder("--scene", f"{made}:hall") == made / "places" / "hall"
    assert artifact.read_facts(made / "places" / "hall")["place"] == "hall"
    assert artifact.digest(made / "places" / "hall") == artifact.digest(made)


def test_other_paths_are_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "x:y").mkdir()
    for text in (str(tmp_path / "x:y"), str(tmp_path), str(tmp_path / "nothing"), "C:/mesh.ply", "plain"):
        assert place_folder("--scene", text) == Path(text)


def test_a_wrong_name_and_none_say_which_there_are(made: Path) -> None:
    with pytest.raises(ResectError, match="hall, kitchen"):
        place_folder("--scene", str(made))
    with pytest.raises(ResectError, match="hall"):
        place_folder("--scene", f"{made}:hal")


def test_a_regressor_tells_places_apart_unless_one_is_needed(tmp_path: Path) -> None:
    artifact.save(tmp_path / "d", "ms-transformer", {}, {})
    note(tmp_path / "d", ("kitchen", "hall"))
    assert place_folder("--scene", str(tmp_path / "d")) == tmp_path / "d"
    with pytest.raises(ResectError, match="2: hall, kitchen"):
        place_folder("--scene", str(tmp_path / "d"), one=True)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a:b", "../x", "a\\b"])
def test_no_name_leaves_the_folder(made: Path, name: str) -> None:
    with pytest.raises(ResectError, match="name"):
        folder_of(made, name)
