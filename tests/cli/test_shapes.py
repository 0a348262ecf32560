import json
from pathlib import Path

import pytest

from resect.cli.main import main
from resect.data.mesh import write_mesh
from resect.data.shapes import read_shapes
from resect.geometry import solids
from resect.shape.occupancy import Occupancy

TINY = [
    "--occupancy.encoder-width",
    "4",
    "--occupancy.side",
    "32",
    "--occupancy.code",
    "8",
    "--occupancy.width",
    "8",
    "--occupancy.blocks",
    "1",
    "--occupancy.points",
    "64",
    "--occupancy.batch",
    "4",
    "--occupancy.steps",
    "4",
    "--threads",
    "1",
]
FEW = [
    "--shapes.train",
    "3",
    "--shapes.val",
    "1",
    "--shapes.test",
    "1",
    "--shapes.views",
    "1",
    "--shapes.side",
    "32",
    "--shapes.points",
    "500",
    "--shapes.train-points",
    "300",
    "--shapes.surface",
    "100",
    "--threads",
    "1",
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "shapes"
    assert main(["data", "shapes", "table", "--out", str(out), *FEW]) == 0
    return out


def test_shapes_are_made_and_learned(tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "network"
    assert main(["fit", "occupancy", str(tables), "--out", str(out), "--json", *TINY]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1]) == {"out": str(out), "train": 3}
    assert "3 shapes" in said.err
    made = Occupancy.load(out)
    assert made.categories == ("table",)
    assert made.encode(read_shapes(tables, "test").photo(0, 0)).shape == (8,)
    assert main(["fit", "occupancy", str(tables), "--out", str(out), *TINY]) == 2  # finished: not trained again unasked
    assert "--overwrite" in capsys.readouterr().err
    assert main(["fit", "occupancy", str(tables), "--out", str(out), "--overwrite", *TINY]) == 0


def test_meshes_are_prepared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    write_mesh(solids.box((1.0, 0.5, 0.7)), tmp_path / "in" / "box.ply")
    few = [
        "--prepare.views",
        "2",
        "--prepare.side",
        "32",
        "--prepare.points",
        "300",
        "--prepare.near",
        "100",
        "--prepare.surface",
        "100",
    ]
    command = ["data", "prepare", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--category", "box", *few]
    assert main(command) == 0
    shapes = read_shapes(tmp_path / "out", "train")
    photo = shapes.photo(0, 1)
    assert photo.alpha is not None
    pixels, _ = photo.known_camera().project(shapes.cam_from_obj(0, 1).apply(shapes.surface(0)[0].double()))
    assert float((photo.alpha[pixels[:, 1].long(), pixels[:, 0].long()] > 0).float().mean()) > 0.97
    (tmp_path / "in" / "cut.ply").write_bytes(b"ply\n")
    again = [*command[:4], str(tmp_path / "other"), *command[5:]]
    capsys.readouterr()
    assert main(again) == 3
    assert "cut is left out" in capsys.readouterr().err


def test_bad_input_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "shapes", "sofa", "--out", str(tmp_path / "out")]) == 2
    assert "chair" in capsys.readouterr().err
    assert main(["fit", "occupancy", str(tmp_path), "--out", str(tmp_path / "net"), *TINY]) == 2
    assert "data shapes" in capsys.readouterr().err
