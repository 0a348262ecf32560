"""Every verb, once, as a user types it: result, JSON, exit code, what is refused."""

import json
import shutil
from pathlib import Path

import pytest
from shell import TINY, files, resect

from resect.citations import CITATIONS
from resect.cli.main import VERBS
from resect.zoo import ZOO


def test_no_verb_and_help_are_the_same_page() -> None:
    page = resect().out
    assert page == resect("--help").out == resect("help").out
    assert all(f"  {verb} " in page for verb in VERBS)
    assert resect("--version").out.startswith("resect ")


@pytest.mark.parametrize("verb", [*VERBS, "data check", "data convert", "data scale", "fit field", "benchmark basin"])
def test_help_teaches_by_an_example(verb: str) -> None:
    said = resect(*verb.split(), "--help")
    assert said.code == 0
    assert f"resect {verb} " in said.out
    assert "example: resect" in said.out or "--help tells more" in said.out or "lists its flags" in said.out


def test_unknown_names_are_answered_with_near_ones(capture: Path, place: Path, tmp_path: Path) -> None:
    for arguments, near in (
        (("fti",), "'fit'"),
        (("fit", "fild", capture), "'field'"),
        (("data", "chek", capture), "'check'"),
        (("benchmark", "bassin", capture), "'basin'"),
        (("cite", "feild"), "'field'"),
        (("fit", "field", capture, "--out", tmp_path / "x", "--priors", "landmark"), "'landmarks'"),
        (("predict", capture, "--scene", place, "--out", tmp_path / "p.csv", "--prior", "retreival"), "'retrieval'"),
    ):
        said = resect(*arguments)
        assert said.code == 2, arguments
        assert near in said.err
        assert said.out == ""
    assert not (tmp_path / "x").exists()


def test_unknown_flags_are_bad_input(capture: Path) -> None:
    said = resect("fit", "field", capture, "--otu", "x")
    assert said.code == 2
    assert "--out" in said.err
    governed = resect("fit", "field", capture, "--out", "x", "--field.seed", "3")
    assert governed.code == 2
    assert "--field.seed" in governed.err


@pytest.mark.parametrize(
    ("flag", "value"), [("--threads", "-1"), ("--device", "abacus"), ("--device", "cuda:99"), ("--seed", "-1")]
)
def test_common_flags_are_checked(capture: Path, flag: str, value: str) -> None:
    said = resect("data", "check", capture, flag, value)
    assert said.code == 2
    assert flag in said.err


def test_fit_is_governed_by_the_common_flags(place: Path) -> None:
    made = json.loads((place / "artifact.json").read_text())["settings"]
    assert (made["seed"], made["threads"], made["device"]) == (0, 1, "cpu")


def test_fit_again_changes_nothing(capture: Path, place: Path) -> None:
    before = files(place)
    said = resect("fit", "field", capture, "--out", place, *TINY)
    assert said.code == 0, said.err
    assert files(place) == before


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--seed", "4"), "seed = 4 (made with 0)"),
        (("--field.rate-density", "0.2"), "rate_density = 0.2 (made with 0.3)"),
        (("--test", "every:5"), "test = 'every:5' (made with 'every:8')"),
    ],
)
def test_fit_refuses_another_configuration_and_touches_nothing(
    capture: Path, place: Path, flags: tuple[str, ...], named: str
) -> None:
    before = files(place)
    said = resect("fit", "field", capture, "--out", place, *TINY, *flags)
    assert said.code == 2
    assert named in said.err
    assert files(place) == before


def test_fit_refuses_a_folder_of_something_else(capture: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    said = resect("fit", "retrieval", capture, "--out", tmp_path)
    assert said.code == 2
    assert "--overwrite" in said.err
    assert resect("fit", "retrieval", capture, "--out", tmp_path, "--overwrite", "--threads", 1).code == 0
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_prior_alone_answers(capture: Path, tmp_path: Path) -> None:
    prior = tmp_path / "landmarks"
    assert resect("fit", "landmarks", capture, "--out", prior, "--test", "none", "--threads", 1).code == 0
    said = resect("estimate", capture / "images" / "0003.png", "--scene", prior, "--threads", 1, "--json")
    assert said.code == 0, said.err
    assert said.json["photos"][0]["status"] == "OK"
    held_out = resect("predict", capture, "--scene", prior, "--out", tmp_path / "p.csv", "--split", "train")
    assert held_out.code == 0, held_out.err
    assert resect("score", tmp_path / "p.csv", capture, "--scene", prior).code == 0
    assert (tmp_path / "p.report" / "report.html").is_file()


def test_score_compare_and_report(capture: Path, place: Path, answers: Path, tmp_path: Path) -> None:
    said = resect("score", answers, capture, "--scene", place, "--report", tmp_path / "report", "--json")
    assert said.code == 0, said.err
    assert (tmp_path / "report" / "report.html").is_file()
    assert said.json["failed"] == 0
    again = resect("score", answers, capture, "--report", tmp_path / "report")
    assert again.code == 2
    compared = resect("compare", answers, answers, "--truth", capture, "--json")
    assert compared.code == 0, compared.err
    assert compared.json[str(answers)]["median_rotation_deg"] == said.json["median_rotation_deg"]


def test_render_writes_pictures_and_a_moving_one(place: Path, answers: Path, tmp_path: Path) -> None:
    said = resect("render", place, answers, "--out", tmp_path / "stills", "--max-side", 32, "--json")
    assert said.code == 0, said.err
    assert said.json["frames"] == len(list((tmp_path / "stills").glob("*.png"))) == 2
    assert resect("render", place, answers, "--out", tmp_path / "stills").code == 2
    moving = tmp_path / "way.gif"
    said = resect("render", place, answers, "--out", moving, "--max-side", 32, "--between", 2, "--channel", "depth")
    assert said.code == 0, said.err
    assert moving.is_file()
    assert resect("render", place, answers, "--out", tmp_path / "one.png").code == 2
    assert resect("render", place / "priors" / "retrieval", answers, "--out", tmp_path / "x").code == 2


def test_info_knows_what_things_are(capture: Path, place: Path, answers: Path) -> None:
    for path, what in (
        (capture, "dataset 'nerfstudio'"),
        (capture / "transforms.json", "dataset 'nerfstudio'"),
        (place, "artefact 'field'"),
        (place / "priors" / "landmarks", "artefact 'landmarks'"),
        (answers, "poses, format 'resect'"),
        (capture / "images" / "0000.png", "photo"),
    ):
        said = resect("info", path, "--json")
        assert said.code == 0, said.err
        assert said.json["what"] == what
    assert resect("info", "nothing").code == 2


def test_list_and_cite(place: Path) -> None:
    assert set(resect("list", "--json").json) == set(ZOO)
    said = resect("cite", place, "--json")
    assert said.json["keys"] == [*ZOO["field"].cite, *ZOO["landmarks"].cite]
    assert CITATIONS["nerf"] in said.out
    none = resect("cite", "retrieval")
    assert (none.code, none.out) == (0, "")
    assert "nothing to cite" in none.err


def test_doctor_times_a_render() -> None:
    assert resect("doctor", "--threads", 1, "--json").json["render_ms"] > 0


def test_data_verbs(capture: Path, tmp_path: Path) -> None:
    said = resect("data", "check", capture, "--draw", tmp_path / "cameras.png", "--threads", 1, "--json")
    assert said.code == 0, said.err
    assert said.json["photos"] == 10
    assert (tmp_path / "cameras.png").is_file()
    assert resect("data", "convert", capture, "--out", tmp_path / "colmap", "--to", "colmap").code == 0
    assert resect("data", "convert", capture, "--out", tmp_path / "colmap", "--to", "colmap").code == 2
    a, b = "images/0000.png", "images/0001.png"
    scale = ("data", "scale", capture, "--out", tmp_path / "metres", "--known-distance", 2)
    assert resect(*scale, "--between", a, b).code == 0
    assert resect(*scale).code == 2
    assert resect("data", "make", "--out", capture).code == 2


def test_demo_refuses_other_flags_and_strange_folders(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"quick": false, "seed": 0}')
    said = resect("demo", "--quick", "--out", tmp_path)
    assert said.code == 2
    assert "quick = True (made with False)" in said.err
    (tmp_path / "demo.json").rename(tmp_path / "mine.json")
    assert resect("demo", "--quick", "--out", tmp_path).code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["mine.json"]


def test_a_fit_goes_on_with_another_number_of_threads(own_place: Path, capture: Path) -> None:
    before = files(own_place, ["weights.safetensors"])
    said = resect("fit", "field", capture, "--out", own_place, *TINY[:-1], "2")
    assert said.code == 0, said.err
    assert files(own_place, ["weights.safetensors"]) == before


def test_datasets_are_listed_and_got(capture: Path, tmp_path: Path) -> None:
    listed = resect("data", "list", "--json")
    assert listed.code == 0, listed.err
    assert listed.json["7scenes-heads"]["bytes"] == 956332240
    assert all(len(line) <= 120 for line in listed.out.splitlines()[:-1])
    archive = shutil.make_archive(str(tmp_path / "capture"), "zip", capture)
    said = resect("data", "get", "nerf-example", "--out", tmp_path / "got", "--url", Path(archive).as_uri(), "--json")
    assert said.code == 0, said.err
    assert len(said.json["sha256"]) == 64
    assert "nothing to compare" in said.err
    assert resect("info", tmp_path / "got" / "transforms.json").code == 0
    assert resect("data", "get", "nerf-example", "--out", tmp_path / "got", "--url", Path(archive).as_uri()).code == 2
    pinned = resect("data", "get", "7scenes-heads", "--out", tmp_path / "two", "--url", Path(archive).as_uri())
    assert pinned.code == 2
    assert "SHA-256" in pinned.err


def test_info_says_how_exact_a_place_is(own_place: Path) -> None:
    (own_place / "errors.json").unlink(missing_ok=True)
    assert "not measured" in resect("info", own_place, "--json").json["exact"]
    model = {"turn_rad": 0.001, "shift": 0.002, "photos": 12}
    (own_place / "errors.json").write_text(json.dumps(model))
    exact = resect("info", own_place, "--json").json["exact"]
    assert "0.088°" in exact  # 1.538 σ of 0.057°
    assert "12 training photos" in exact
