"""Verbs about distributions over rotations."""

from pathlib import Path

import pytest
import torch
from tests.cli.shell import resect
from tests.priors.image2sphere.as_published import random_model
from tests.priors.rotations.placed import placed

from resect.data.mesh import write_mesh
from resect.data.rotations.table import write_rotation_table
from resect.geometry import solids
from resect.synthesis.symsol.make import SolidSettings, make_solids

ONE = ["--threads", "1"]


def tiny(kind: str) -> list[str]:
    own = {
        "image2sphere": {"lmax": 2, "features": 8, "hidden": 2, "resolution": 3, "grid-level": 1},
        "ipdf": {"queries": 16},
    }
    values = {"encoder-width": 4, "side": 32, "batch": 4, "steps": 2, "density-level": 3, **own[kind]}
    return [f"--{kind}.{key}={value}" for key, value in values.items()] + [f"--{kind}.no-tensorboard", *ONE]


@pytest.mark.parametrize("kind", ["image2sphere", "ipdf"])
def test_solids_are_learned_and_scored(kind: str, tmp_path: Path) -> None:
    net, table = tmp_path / "net", tmp_path / "table.csv"
    made = resect("fit", kind, "solids:cube,cone", "--out", net, "--json", *tiny(kind))
    assert made.code == 0, made.err
    assert made.json["categories"] == ["cone", "cube"]
    assert resect("fit", kind, "solids:cube,cone", "--out", net, *tiny(kind)).code == 2  # finished
    found = resect("score", net, "solids:cube,cone", "--most", 4, "--out", table, "--json", *ONE)
    assert found.code == 0, found.err
    assert found.json["images"] == 4
    assert found.json["grid_level"] == 3
    assert found.json["log_likelihood"] < found.json["ceiling"] < 6
    assert set(found.json["classes"]) == {"cone", "cube"}
    assert len(table.read_text().splitlines()) == 5
    assert resect("score", net, "solids:cube", "--most", 2, "--out", table, *ONE).code == 2  # exists


def test_a_published_checkpoint_is_imported_and_scored(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"epoch": 1, "model_state_dict": random_model(2, classes=2), "done": True}, path)
    made = resect("import", path, "--out", tmp_path / "net", "--categories", "cube", "cone", "--json", *ONE)
    assert made.code == 0, made.err
    assert made.json["categories"] == ["cube", "cone"]
    assert resect("score", tmp_path / "net", "solids:cube", "--most", 1, "--level", 3, *ONE).code == 0
    assert resect("import", path, "--out", tmp_path / "net", *ONE).code == 2


def test_bad_input_is_said(tmp_path: Path) -> None:
    out = tmp_path / "net"
    for data, said in (("solids:egg", "cube"), (tmp_path / "none", "SYMSOL")):
        failed = resect("fit", "image2sphere", data, "--out", out, *tiny("image2sphere"))
        assert failed.code == 2
        assert said in failed.err
    same = resect("fit", "ipdf", "solids:cube", "--out", out, "--held-out", "train", *tiny("ipdf"))
    assert same.code == 2
    assert not out.exists()


def test_a_run_that_failed_at_its_beginning_is_begun_again(tmp_path: Path) -> None:
    table, net = tmp_path / "photos", tmp_path / "net"
    write_rotation_table(make_solids(SolidSettings(("cube",), 2, 32)), table)
    image = table / "0000" / "0000001.png"
    kept = image.read_bytes()
    image.unlink()
    assert resect("fit", "ipdf", table, "--out", net, *tiny("ipdf")).code == 2
    image.write_bytes(kept)
    assert resect("fit", "ipdf", table, "--out", net, *tiny("ipdf")).code == 0


def test_what_is_learned_from_is_not_held_out_nor_scored_unsaid(tmp_path: Path) -> None:
    table = tmp_path / "photos"
    write_rotation_table(make_solids(SolidSettings(("cube",), 4, 32)), table)
    refused = resect("fit", "ipdf", table, "--out", tmp_path / "net", "--held-out", "val", *tiny("ipdf"))
    assert refused.code == 2
    assert "every:8" in refused.err
    assert resect("fit", "ipdf", "solids:cube", "--split", "valid", "--out", tmp_path / "net", *tiny("ipdf")).code == 2
    assert resect("fit", "ipdf", table, "--out", tmp_path / "net", *tiny("ipdf")).code == 0
    assert "learned from" in resect("score", tmp_path / "net", table, *ONE).err
    assert "learned from" not in resect("score", tmp_path / "net", "solids:cube", "--most", 1, *ONE).err


def test_every_other_photo_is_held_out_where_data_has_no_parts(tmp_path: Path) -> None:
    table, net, kind = tmp_path / "photos", tmp_path / "net", "image2sphere"
    write_rotation_table(make_solids(SolidSettings(("cube",), 6, 32)), table)
    made = resect("fit", kind, table, "--out", net, "--held-out", "every:2", "--json", *tiny(kind))
    assert made.code == 0, made.err
    assert made.json["images"] == 3
    assert "3 held out" in made.err
    assert "not known" in made.err
    scored = resect("score", net, table, "--json", "--out", tmp_path / "images.csv", "--level", 1, *ONE)
    assert scored.json["images"] == 3
    assert "3 others" in scored.err
    held_out = [line.split(",")[0] for line in (tmp_path / "images.csv").read_text().splitlines()[1:]]
    assert held_out == ["0000/0000000.png", "0000/0000002.png", "0000/0000004.png"]
    other = tmp_path / "others"
    write_rotation_table(make_solids(SolidSettings(("cube",), 6, 32, seed=5)), other)
    assert resect("score", net, other, "--json", "--level", 1, *ONE).json["images"] == 6
    assert resect("fit", "ipdf", table, "--out", tmp_path / "x", "--held-out", "every:0", *tiny("ipdf")).code == 2


def test_photos_that_are_kept_for_tests_are_not_learned_from_unasked(tmp_path: Path) -> None:
    scene = tmp_path / "bop/test/000001"
    scene.mkdir(parents=True)
    for name in ("scene_camera.json", "scene_gt.json"):
        (scene / name).write_text("{}")
    refused = resect("fit", "ipdf", tmp_path / "bop", "--out", tmp_path / "net", *tiny("ipdf"))
    assert refused.code == 2
    assert "--split test" in refused.err
    assert "--held-out" in refused.err


def test_a_network_that_tells_positions_needs_no_box(tmp_path: Path) -> None:
    write_rotation_table(placed(4), tmp_path / "photos")
    write_mesh(solids.box((1.0, 1.0, 1.0)), tmp_path / "box.ply")
    photo = tmp_path / "photos/0000/0000000.png"
    asked = ("estimate", photo, "--scene", tmp_path / "box.ply", "--fov-deg", 53.13, "--json", *ONE)
    for name, more in (("placing", ["--image2sphere.translation"]), ("turning", [])):
        flags = (*more, *tiny("image2sphere"))
        made = resect("fit", "image2sphere", tmp_path / "photos", "--out", tmp_path / name, *flags)
        assert made.code == 0, made.err
    told = resect(*asked, "--prior", tmp_path / "placing")
    assert told.code in (0, 3), told.err
    assert told.json["photos"][0]["status"] not in ("NO_TRANSLATION", "NO_HYPOTHESIS")
    scored = resect("score", tmp_path / "placing", tmp_path / "photos", "--level", 1, "--json", *ONE)
    assert scored.json["placed"]["images"] == 4
    assert scored.json["placed"]["spacecraft_score"] > 0
    assert "neither a box nor a start" in resect(*asked, "--prior", tmp_path / "turning").err
    refused = resect("fit", "image2sphere", "solids:cube", "--out", tmp_path / "x", "--image2sphere.translation", *ONE)
    assert refused.code == 2
    assert "rotations alone" in refused.err


def test_poses_of_a_spacecraft_are_scored_as_published(tmp_path: Path) -> None:
    write_rotation_table(placed(2), tmp_path / "photos")
    rows = [line.split(",") for line in (tmp_path / "photos/rotations.csv").read_text().splitlines()[2:]]
    answers = tmp_path / "answers.txt"
    answers.write_text("\n".join(" ".join([row[0], *row[2:9]]) for row in rows))
    found = resect("score", answers, tmp_path / "photos", "--json", *ONE)
    assert found.code == 0, found.err
    assert found.json["spacecraft_score"] == 0
    answers.write_text(answers.read_text().replace("0000000.png", "another.png"))
    assert resect("score", answers, tmp_path / "photos", "--json", *ONE).json["failed"] == 1
