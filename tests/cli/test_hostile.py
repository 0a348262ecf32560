"""Tampered artefacts and bad data: a clear error and exit code 2, never a traceback, never another file touched."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell import files, resect, without_seconds


def edit(path: Path, change: Callable[[Any], object]) -> None:
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(bytes(data))


def relink(place: Path) -> None:
    """The prior's folder now points out of the place."""
    outside = place.parent / "outside"
    shutil.move(place / "priors" / "landmarks", outside)
    (place / "priors" / "landmarks").symlink_to(outside)


TAMPERING: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit of the weights": (lambda p: flip(p / "weights.safetensors"), "changed or cut short"),
    "a bit of a prior": (lambda p: flip(p / "priors" / "retrieval" / "weights.safetensors"), "changed or cut short"),
    "weights gone": (lambda p: (p / "weights.safetensors").unlink(), "weights file"),
    "weights cut": (lambda p: (p / "weights.safetensors").write_bytes(b"x" * 10), "changed or cut short"),
    "not JSON": (lambda p: (p / "artifact.json").write_text("{"), "valid JSON"),
    "a list": (lambda p: (p / "artifact.json").write_text("[]"), "keys kind"),
    "deep JSON": (lambda p: (p / "artifact.json").write_text("[" * 100_000), "valid JSON"),
    "artefact gone": (lambda p: (p / "artifact.json").unlink(), "artifact.json"),
    "unknown kind": (lambda p: edit(p / "artifact.json", lambda f: f.update(kind="../evil")), "'../evil'"),
    "another format": (lambda p: edit(p / "artifact.json", lambda f: f.update(resect_artifact=99)), "format 1"),
    "unknown setting": (lambda p: edit(p / "artifact.json", lambda f: f["settings"].update(evil=1)), "'evil'"),
    "setting of another type": (
        lambda p: edit(p / "artifact.json", lambda f: f["settings"].update(batch="many")),
        "settings.batch",
    ),
    "impossible setting": (lambda p: edit(p / "artifact.json", lambda f: f["settings"].update(decay=2.0)), "decay"),
    "a path in the split": (
        lambda p: edit(p / "split.json", lambda f: f["test"].append("../../etc/passwd")),
        "../../etc/passwd",
    ),
    "split gone": (lambda p: (p / "split.json").unlink(), "split.json"),
    "place gone": (lambda p: (p / "place.json").unlink(), "place.json"),
    "no scale": (lambda p: edit(p / "place.json", lambda f: f.update(scene_scale=float("nan"))), "positive scale"),
    "no focal length": (lambda p: edit(p / "place.json", lambda f: f["camera"].update(fx=0.0)), "focal"),
    "half a pose": (
        lambda p: edit(p / "place.json", lambda f: f["cam_from_world_wxyz_t"].pop()),
        "each training photo",
    ),
    "a link out of the folder": (relink, "a path inside"),
    "broken error model": (lambda p: (p / "errors.json").write_text('{"residual": NaN}'), "errors.json"),
    "unknown error": (lambda p: (p / "errors.json").write_text('{"resdual": 0.1}'), "'resdual'"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_a_tampered_place_is_refused(what: str, capture: Path, own_place: Path, tmp_path: Path) -> None:
    tamper, named = TAMPERING[what]
    tamper(own_place)
    said = resect("predict", capture, "--scene", own_place, "--out", tmp_path / "poses.csv", "--threads", 1)
    assert said.code == 2, said.err
    assert named in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "poses.csv").exists()


def test_overwrite_does_not_follow_links(capture: Path, own_place: Path, tmp_path: Path) -> None:
    """`fit --overwrite` removes what a fit wrote; a folder that it links to stays whole."""
    precious = tmp_path / "precious"
    shutil.move(own_place / "priors", precious)
    (own_place / "priors").symlink_to(precious)
    before = files(precious)
    said = resect("fit", "retrieval", capture, "--out", own_place, "--overwrite", "--threads", 1)
    assert said.code == 0, said.err
    assert files(precious) == before


def test_fit_does_not_write_through_links(capture: Path, tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "place"
    outside.mkdir()
    out.mkdir()
    edit_free = ("fit", "field", capture, "--out", out, "--threads", 1, "--field.steps", 20, 20)
    flags = (*edit_free, "--field.resolutions", 32, 64, "--field.max-side", 48)
    (out / "priors").symlink_to(outside)
    assert resect(*flags).code == 2
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("left", [0, 1, 2])
def test_too_few_photos(left: int, capture: Path, tmp_path: Path) -> None:
    few = Path(shutil.copytree(capture, tmp_path / "few"))
    edit(few / "transforms.json", lambda f: f.update(frames=f["frames"][:left]))
    said = resect("fit", "field", few, "--out", tmp_path / "place")
    assert said.code == 2, said.err
    assert "photo" in said.err
    assert not (tmp_path / "place").exists()


def test_overwrite_with_bad_data_leaves_the_old_place(capture: Path, own_place: Path, tmp_path: Path) -> None:
    before = files(own_place)
    (tmp_path / "empty").mkdir()
    for data, flags in ((tmp_path / "empty", ()), (capture, ("--test", "every:0")), (capture, ("--priors", "nothing"))):
        assert resect("fit", "field", data, "--out", own_place, "--overwrite", *flags).code == 2
        assert files(own_place) == before


def test_a_missing_and_a_damaged_photo_do_not_stop_predict(capture: Path, place: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(capture, tmp_path / "data"))
    held_out = json.loads((place / "split.json").read_text())["test"]
    (data / held_out[0]).write_bytes((data / held_out[0]).read_bytes()[:2000])
    said = resect("predict", data, "--scene", place, "--out", tmp_path / "poses.csv", "--threads", 1, "--json")
    assert said.code == 3, said.err
    assert said.json["failed"] == 1
    assert "UNREADABLE" in (tmp_path / "poses.csv").read_text()
    scored = resect("score", tmp_path / "poses.csv", capture, "--json")
    assert (scored.json["photos"], scored.json["failed"]) == (2, 1)


def test_predictions_do_not_know_the_truth(capture: Path, place: Path, answers: Path, tmp_path: Path) -> None:
    """With the true poses of the held-out photos exchanged, every byte of the answers is the same."""
    data = Path(shutil.copytree(capture, tmp_path / "data"))
    held_out = json.loads((place / "split.json").read_text())["test"]

    def exchange(facts: Any) -> None:
        frames = [f for f in facts["frames"] if f["file_path"] in held_out]
        assert len(frames) == 2
        a, b = (f["transform_matrix"] for f in frames)
        assert a != b
        frames[0]["transform_matrix"], frames[1]["transform_matrix"] = b, a

    edit(data / "transforms.json", exchange)
    said = resect("predict", data, "--scene", place, "--out", tmp_path / "poses.csv", "--threads", 1)
    assert said.code == 0, said.err
    assert without_seconds(tmp_path / "poses.csv") == without_seconds(answers)
    honest, exchanged = (resect("score", answers, d, "--json").json for d in (capture, data))
    assert exchanged["median_translation"] > 10 * honest["median_translation"]
