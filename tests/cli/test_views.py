import json
from pathlib import Path

import pytest

from resect.cli.main import main
from resect.data.mesh import write_mesh
from resect.data.view_list import read_views
from resect.geometry import solids

ONE = ["--threads", "1"]
FEW = ["--views.images", "6", "--views.side", "32", *ONE]
TINY = [
    f"--viewpoint.{k}={v}" for k, v in {"encoder-width": 4, "side": 32, "hidden": 8, "bins": 24, "batch": 4}.items()
]
TINY += ["--viewpoint.steps=3", *ONE]


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "views"
    assert main(["data", "views", "table", "chair", "--shapes", "1", "--out", str(out), *FEW]) == 0
    return out


def test_views_are_made_learned_and_scored(views: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, answers = tmp_path / "net", tmp_path / "answers.txt"
    assert set(read_views(views).categories) == {"table", "chair"}
    assert main(["fit", "viewpoint", str(views), "--out", str(net), "--json", *TINY]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said == {"out": str(net), "crops": 6, "categories": ["chair", "table"]}
    assert main(["fit", "viewpoint", str(views), "--out", str(net), *TINY]) == 2  # finished: not trained again unasked
    assert main(["score", str(net), str(views), "--out", str(answers), "--json", *ONE]) == 0
    by_network = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(by_network["categories"]) == {"chair", "table"}
    assert {"acc_30", "median_deg", "avp_4", "avp_24"} <= set(by_network)
    assert main(["score", str(answers), str(views), "--json", *ONE]) == 0
    by_list = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert by_list["acc_30"] == by_network["acc_30"]
    assert main(["score", str(views), str(views), "--json", *ONE]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["acc_30"] == 1


def test_meshes_and_pictures_are_taken_from_folders(views: Path, tmp_path: Path) -> None:
    (tmp_path / "mug").mkdir()
    write_mesh(solids.box((1.0, 0.5, 0.7)), tmp_path / "mug" / "a b.ply")
    command = ["data", "views", str(tmp_path / "mug"), "--like", str(views), "--backgrounds", str(views)]
    assert main([*command, "--out", str(tmp_path / "out"), *FEW]) == 0
    assert read_views(tmp_path / "out").models == ("mug/a_b",) * 6


def test_bad_input_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "views", "sofa", "--out", str(tmp_path / "out"), *FEW]) == 2
    assert "chair" in capsys.readouterr().err
    assert main(["fit", "viewpoint", str(tmp_path), "--out", str(tmp_path / "net"), *TINY]) == 2
    assert "resect data views" in capsys.readouterr().err
