"""iNeRF by commands: steps, curves and a film of a photo; the protocol with its steps kept."""

import json
from importlib.util import find_spec
from pathlib import Path

from shell import resect

from resect.data import read
from resect.evaluation.descent import read_descent

QUICK = ("--threads", 1, "--json")


def test_a_photo_by_inerf(capture: Path, place: Path, tmp_path: Path) -> None:
    photos = read(capture)
    pose = photos.truth.cam_from_world[3].retract(0.01 * photos.truth.cam_from_world[3].log())
    (tmp_path / "start.json").write_text(json.dumps({"cam_from_world": pose.double().matrix().tolist()}))
    (tmp_path / "preset.txt").write_text("batch_size = 64\nlrate = 0.003\nsampling_strategy = interest_points\n")
    said = resect(
        "estimate", capture / "images" / "0003.png", "--scene", place, "--start", tmp_path / "start.json",
        "--refiner", "inerf", "--config", tmp_path / "preset.txt", "--inerf.steps", 6, "--out", tmp_path / "o", *QUICK,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["photos"][0]["status"] in ("OK", "NOT_IMPROVED")
    assert len(read_descent(tmp_path / "o" / "0003.steps.csv").loss) == 6
    assert (tmp_path / "o" / "0003.gif").stat().st_size > 100
    assert "<svg" in (tmp_path / "o" / "steps.html").read_text()


def test_the_film_is_a_video_or_a_word_before_the_work(capture: Path, place: Path, tmp_path: Path) -> None:
    pose = read(capture).truth.cam_from_world[3]
    (tmp_path / "start.json").write_text(json.dumps({"cam_from_world": pose.double().matrix().tolist()}))
    said = resect(
        "estimate", capture / "images" / "0003.png", "--scene", place, "--start", tmp_path / "start.json", "--refiner",
        "inerf", "--inerf.steps", 2, "--inerf.rays", 64, "--out", tmp_path / "o", "--film", "mp4", *QUICK,
    )  # fmt: skip
    if find_spec("imageio_ffmpeg") is None:
        assert said.code == 2
        assert "resect[video]" in said.err
        assert not (tmp_path / "o").exists()
    else:
        assert said.code == 0, said.err
        assert (tmp_path / "o" / "0003.mp4").read_bytes()[4:8] == b"ftyp"
        assert not (tmp_path / "o" / "0003.gif").exists()


def test_the_protocol_keeps_the_steps(capture: Path, place: Path, tmp_path: Path) -> None:
    said = resect(
        "benchmark", "inerf", capture, "--scene", place, "--refiners", "inerf", "--protocol.photos", 1,
        "--protocol.starts", 1, "--out", tmp_path / "o", *QUICK,
    )  # fmt: skip
    assert said.code == 0, said.err
    (file,) = (tmp_path / "o" / "steps").glob("*.csv")
    found = read_descent(file)
    assert len(found.loss) == len(found.rotation_deg) == 300
    assert (tmp_path / "o" / "steps.html").is_file()
