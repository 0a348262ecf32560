"""One box for all: every search costs seconds."""

import json
from pathlib import Path

import pytest
from shell import Said, resect

from resect.data.mesh import write_mesh
from resect.data.models_info import read_models_info
from resect.geometry import solids


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("symmetries")


@pytest.fixture(scope="module")
def said(folder: Path) -> Said:
    """A cube with one side 5 % longer."""
    box = write_mesh(solids.box((100, 100, 105)), folder / "obj_000007.ply")[0]
    flags = ("--out", folder / "models_info.json", "--draw", folder / "axes.png", "--threads", 1, "--json")
    return resect("mesh", "symmetries", box, *flags)


def test_groups_with_evidence_at_several_tolerances(said: Said, folder: Path) -> None:
    assert said.code == 0, said.err
    (found,) = said.json["meshes"].values()
    assert (found["group"], found["motions"], found["axes"]) == ("D4", 8, 0)
    assert found["residual"] < found["tolerance"] == 0.01
    assert [(x["tolerance"], x["group"], len(x["symmetries_discrete"])) for x in found["levels"]] == [(0.05, "O", 23)]
    assert "at --tolerance 0.05: O about" in said.out


def test_models_info_holds_what_was_found(said: Said, folder: Path) -> None:
    (key,) = json.loads((folder / "models_info.json").read_text())
    assert key == "7"
    info = read_models_info(folder / "models_info.json")["7"]
    assert len(info.symmetries.discrete) == 8
    assert said.code == 0


def test_the_picture_shows_axes(said: Said, folder: Path) -> None:
    from PIL import Image

    with Image.open(folder / "axes.png") as picture:
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 20)}
    assert said.code == 0
    assert {(36, 99, 168), (200, 110, 0)} <= colors  # half turns and the quarter turn


def test_what_is_wrong_is_named_before_any_search(folder: Path, said: Said) -> None:
    box = folder / "obj_000007.ply"
    assert "--overwrite" in resect("mesh", "symmetries", box, "--out", folder / "models_info.json").err
    assert "--draw" in resect("mesh", "symmetries", box, box, "--draw", folder / "x.png").err
    assert resect("mesh", "symmetries").code == 2
    assert "tolerance" in resect("mesh", "symmetries", box, "--tolerance", 0.5, "--threads", 1).err
    assert said.code == 0
