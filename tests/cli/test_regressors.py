"""Regressors from the command line: fitted, predicted with, as a start of refinement, with views from a scene."""

import json
from pathlib import Path

import pytest
from tests.priors.posenet_networks import backbone

from resect.artifact import read_json
from resect.cli.main import main
from resect.data.synthetic import SyntheticSettings, make_capture

ONE = ["--threads", "1"]
SETTINGS = {"side": 32, "hidden": 8, "views": 1, "steps": 2, "batch": 4, "reduce": 2}


def tiny(name: str, **more: object) -> list[str]:
    values = {"pretrained": backbone(), **SETTINGS, **more}
    return [f"--{name}.{key}={value}" for key, value in values.items()] + ONE


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "room"
    make_capture(SyntheticSettings(photos=9, width=64, height=48, path="orbit"), out)
    return out


@pytest.fixture(scope="module")
def net(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "net"
    assert main(["fit", "posenet", str(photos), "--out", str(out), *tiny("posenet")]) == 0
    return out


def test_a_regressor_is_fitted_and_predicted_with(
    photos: Path, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_json(net / "split.json")["rule"] == "every:8"
    assert len(read_json(net / "place.json")["trained_on"]) == 7
    poses = tmp_path / "poses.csv"
    assert main(["predict", str(photos), "--scene", str(net), "--out", str(poses), *ONE]) == 0
    capsys.readouterr()
    assert main(["score", str(poses), str(photos), "--json", *ONE]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["photos"], said["failed"]) == (2, 0)
    again = ["fit", "posenet", str(photos), "--out", str(net), *tiny("posenet", hidden=16)]
    assert main(again) == 2  # another configuration is refused


def test_a_decoder_learns_from_a_teacher(photos: Path, net: Path, tmp_path: Path) -> None:
    out = tmp_path / "decoder"
    few = ["--pose-decoder.steps=2", "--pose-decoder.views=1", "--pose-decoder.batch=4", *ONE]
    assert main(["fit", "pose-decoder", str(photos), "--out", str(out), *few]) == 2  # no teacher
    assert main(["fit", "pose-decoder", str(photos), "--teacher", str(net), "--out", str(out), *few]) == 0
    assert (out / "teacher" / "artifact.json").is_file()
    command = ["predict", str(photos), "--scene", str(out), "--out", str(tmp_path / "poses.csv"), *ONE]
    assert main(command) == 0
    assert main([*command, "--refiner", "neighbours"]) == 2  # the file is of other settings
    combined = [*command, "--overwrite", "--refiner", "neighbours", "--neighbours.weights", "exact"]
    assert main(combined) == 0
    assert main([*combined, "--neighbours.count", "50"]) == 2  # more than there are


def test_relative_regressors(photos: Path, net: Path, tmp_path: Path) -> None:
    few = ["steps=2", "views=1", "batch=4", "hidden=8"]
    command = ["fit", "rpr", str(photos), "--teacher", str(net), "--out", str(tmp_path / "rpr")]
    assert main([*command, *(f"--rpr.{f}" for f in few), *ONE]) == 0
    assert main(["predict", str(photos), "--scene", str(tmp_path / "rpr"), "--out", str(tmp_path / "a.csv"), *ONE]) == 0
    command = ["fit", "iapr", str(photos), "--teacher", str(net), "--out", str(tmp_path / "iapr")]
    assert main([*command, *(f"--iapr.{f}" for f in few), *ONE]) == 2  # no decoder


def test_several_places(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "both"
    command = ["fit", "ms-transformer", f"b={photos}", f"a={photos}", "--out", str(out)]
    flags = {"pretrained": backbone(), "side": 32, "width": 8, "heads": 2, "head": 8, "views": 1, "steps": 2}
    flags = [f"--ms-transformer.{key}={value}" for key, value in {**flags, "batch": 4}.items()]
    assert main([*command, *flags, *ONE]) == 0
    assert f"now: resect predict {photos} --scene {out}:b" in capsys.readouterr().err
    assert main(["info", str(out)]) == 0
    assert f'places: ["{out}:a", "{out}:b"]' in capsys.readouterr().out
    assert list(read_json(out / "artifact.json")["extra"]["places"]) == ["a", "b"]
    few = ["--pose-decoder.steps=2", "--pose-decoder.views=1", "--pose-decoder.batch=4", *ONE]
    command = ["fit", "pose-decoder", f"a={photos}", f"b={photos}", "--teacher", str(out)]
    assert main([*command, "--out", str(tmp_path / "decoder"), *few]) == 0
    assert read_json(tmp_path / "decoder" / "artifact.json")["extra"]["scenes"] == ["a", "b"]
    predict = ["predict", str(photos), "--out", str(tmp_path / "poses.csv"), *ONE, "--scene"]
    assert main([*predict, str(tmp_path / "decoder")]) == 2  # which place?
    assert main([*predict, f"{tmp_path / 'decoder'}:c"]) == 2
    assert "a, b" in capsys.readouterr().err
    assert main([*predict, f"{tmp_path / 'decoder'}:b"]) == 0
    assert main(["score", str(tmp_path / "poses.csv"), str(photos), "--scene", f"{tmp_path / 'decoder'}:b", *ONE]) == 0
    assert main([*predict, str(out), "--overwrite"]) == 2  # which place's held-out photos?
    assert "2: a, b" in capsys.readouterr().err
    assert main([*predict, f"{out}:b", "--overwrite"]) == 0
    answers = tmp_path / "answers"
    photo = str(photos / "images" / "0000.png")
    assert main(["estimate", photo, "--scene", f"{tmp_path / 'decoder'}:a", *ONE]) == 0
    assert main(["estimate", photo, "--scene", str(out), "--out", str(answers), *ONE]) == 0
    assert "  from ms-transformer:" in capsys.readouterr().out  # which place it is
    assert sorted(p.name for p in (answers / "attention").iterdir()) == ["0000.position.png", "0000.rotation.png"]
    assert main(["fit", "posenet", str(photos), str(photos), "--out", str(tmp_path / "two"), *tiny("posenet")]) == 2


def test_weights_are_looked_for_before_anything_is_written(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "net"
    command = ["fit", "posenet", str(photos), "--out", str(out)]
    assert main([*command, *tiny("posenet", pretrained="none.pth")]) == 2
    assert "none.pth: expected a file of weights, got no file" in capsys.readouterr().err
    assert not out.exists()


def test_parents_of_another_split_or_place_are_refused(
    photos: Path, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--pose-decoder.steps=2", "--pose-decoder.views=1", "--pose-decoder.batch=4", "--teacher", str(net), *ONE]
    out = ["--out", str(tmp_path / "decoder")]
    assert main(["fit", "pose-decoder", str(photos), "--test", "every:4", *out, *few]) == 2
    assert "learned from 1 of 3, e.g. images/0004.png" in capsys.readouterr().err
    other = tmp_path / "other"
    make_capture(SyntheticSettings(photos=9, width=64, height=48, path="around"), other)
    assert main(["fit", "pose-decoder", str(other), *out, *few]) == 2
    assert "expected what was learned in this place" in capsys.readouterr().err
    assert not (tmp_path / "decoder").exists()


def test_info_of_a_regressor(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(net)]) == 0
    assert "exact: each answer says, by its covariance" in capsys.readouterr().out
