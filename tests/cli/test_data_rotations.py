"""`resect data rotations`: meshes, procedural shapes and datasets become a folder that the reader reads."""

import json
from pathlib import Path

import numpy as np
import pytest

from resect.cli.main import main
from resect.data.mesh.write import write_mesh
from resect.data.rotations.read import read_rotations
from resect.geometry import solids

FEW = ("--draw.views", "2", "--draw.side", "24", "--threads", "1")


def test_meshes_in_folders_and_procedural_shapes_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "test"):
        (tmp_path / "mug" / split).mkdir(parents=True)
        write_mesh(solids.box((1.0, 0.5, 0.7)), tmp_path / "mug" / split / f"{split} a.ply")
    command = ["data", "rotations", str(tmp_path / "mug"), "table", "--shapes", "1", "--split", "test", *FEW]
    assert main([*command, "--out", str(tmp_path / "out"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["images"] == 4
    assert said["categories"] == ["mug", "table"]
    found = read_rotations(tmp_path / "out")
    assert len(found) == 4
    assert found.photo(0).camera is not None
    assert main([*command, "--out", str(tmp_path / "out")]) == 2  # nothing is overwritten


def test_a_dataset_is_converted(tmp_path: Path) -> None:
    rots = np.eye(3, dtype=np.float32)[None].repeat(3, 0)
    np.savez(tmp_path / "x.npz", imgs=np.zeros((3, 8, 8, 3), np.uint8), rots=rots, clss=np.array([[0], [1], [5]]))
    assert main(["data", "rotations", str(tmp_path / "x.npz"), "--out", str(tmp_path / "out"), *FEW]) == 0
    assert read_rotations(tmp_path / "out").categories == ("aeroplane", "bicycle", "car")


def test_bad_input_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "rotations", "sofa", "--out", str(tmp_path / "out"), *FEW]) == 2
    assert "rotations.csv" in capsys.readouterr().err
    assert main(["data", "rotations", "chair", "sofa", "--out", str(tmp_path / "out"), *FEW]) == 2
    assert "sofa" in capsys.readouterr().err
