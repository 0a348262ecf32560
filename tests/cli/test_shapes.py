import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.artifact import as_json
from resect.cli.main import main
from resect.data.mesh import write_mesh
from resect.data.shapes import read_shapes
from resect.geometry import solids
from resect.shape.network import OccupancyNetwork
from resect.shape.occupancy import Occupancy
from resect.shape.settings import PublishedOccupancySettings


def flags(prefix: str, **values: int) -> list[str]:
    """--PREFIX.NAME VALUE …, and one thread."""
    pairs = [(f"--{prefix}.{name.replace('_', '-')}", str(value)) for name, value in values.items()]
    return [text for pair in pairs for text in pair] + ["--threads", "1"]


TINY = flags("occupancy", encoder_width=4, side=32, code=8, width=8, blocks=1, points=64, batch=4, steps=4)
FEW = flags("shapes", train=3, val=1, test=1, views=1, side=32, points=500, train_points=300, surface=100)


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
    assert made.encode(read_shapes(tables, "test").photo(0, 0)).shape == (2, 8)
    assert main(["fit", "occupancy", str(tables), "--out", str(out), *TINY]) == 2  # finished: not trained again unasked
    assert "--overwrite" in capsys.readouterr().err
    assert main(["fit", "occupancy", str(tables), "--out", str(out), "--overwrite", *TINY]) == 0


def test_meshes_are_prepared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    write_mesh(solids.box((1.0, 0.5, 0.7)), tmp_path / "in" / "box.ply")
    few = flags("prepare", views=2, side=32, points=300, near=100, surface=100)
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


def test_a_released_checkpoint_becomes_an_artefact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = replace(PublishedOccupancySettings(), input="points", pool=False, code=16, width=8, blocks=2)
    network = OccupancyNetwork(settings)
    torch.save({"model": network.state_dict(), "epoch_it": 1, "it": 9}, tmp_path / "onet.pt")
    assert main(["import", str(tmp_path / "onet.pt"), "--out", str(tmp_path / "made"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["input"] == "points"
    made = Occupancy.load(tmp_path / "made")
    assert as_json(made.settings) == as_json(settings)
    assert main(["import", str(tmp_path / "onet.pt"), "--out", str(tmp_path / "made")]) == 2
    (tmp_path / "noise.pt").write_bytes(b"noise")
    assert main(["import", str(tmp_path / "noise.pt"), "--out", str(tmp_path / "other")]) == 2
    assert "noise.pt" in capsys.readouterr().err
