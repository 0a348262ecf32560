"""`resect estimate`: new photos, what is known of them, and those that fail."""

import json
import math
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from shell import resect, without_seconds

from resect.data import read
from resect.evaluation.pose_file import PoseRow, read_poses, write_poses
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3


@pytest.fixture
def photo(capture: Path, tmp_path: Path) -> Path:
    """A photo on its own: nothing beside it says what camera took it."""
    path = tmp_path / "elsewhere" / "new.png"
    path.parent.mkdir()
    path.write_bytes((capture / "images" / "0003.png").read_bytes())
    return path


def error_deg(facts: dict[str, object], capture: Path, index: int = 3) -> float:
    from resect.geometry import so3

    truth = read(capture).truth.cam_from_world[index]
    import torch

    found = so3.from_quaternion(torch.tensor(facts["cam_from_world_wxyz"], dtype=torch.float64))
    return float(so3.angle(found, truth.R.double()).rad2deg())


def pose_json(path: Path, pose: SE3) -> Path:
    path.write_text(json.dumps({"cam_from_world": pose.matrix().tolist()}))
    return path


def test_several_photos_with_bad_ones_among_them(capture: Path, place: Path, photo: Path, tmp_path: Path) -> None:
    short, grey, text = (photo.with_name(n) for n in ("cut-short.png", "grey.png", "text.png"))
    short.write_bytes(photo.read_bytes()[:3000])
    Image.new("RGB", (96, 72), (90, 90, 90)).save(grey)
    text.write_text("not an image")
    said = resect("estimate", photo.parent, "--scene", place, "--out", tmp_path / "out", "--threads", 1, "--json")
    assert said.code == 3, said.err
    status = {row["photo"]: row["status"] for row in said.json["photos"]}
    assert status["cut-short.png"] == status["text.png"] == "UNREADABLE"
    assert status["grey.png"] in ("NO_AGREEMENT", "NO_HYPOTHESIS", "NOT_CONVERGED")
    failed = next(row for row in said.json["photos"] if row["photo"] == "grey.png")
    assert failed["sentence"] in said.out
    assert failed["advice"] in said.out
    assert "cam_from_world_t" not in failed
    assert said.json["failed"] == 3
    good = next(row for row in said.json["photos"] if row["photo"] == "new.png")
    assert error_deg(good, capture) < 1
    written = read_poses(tmp_path / "out" / "poses.csv")
    assert {row.photo: row.status for row in written.rows} == status
    assert (tmp_path / "out" / "report.html").is_file()


def test_only_unusable_photos_are_bad_input(place: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    assert resect("estimate", tmp_path / "text.png", "--scene", place).code == 2
    assert resect("estimate", tmp_path / "none.png", "--scene", place).code == 2
    (tmp_path / "empty").mkdir()
    assert resect("estimate", tmp_path / "empty", "--scene", place).code == 2
    assert resect("estimate", "--scene", place).code == 2


def test_photos_of_the_same_name_stay_apart(capture: Path, place: Path, photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "new.png"
    other.parent.mkdir()
    other.write_bytes((capture / "images" / "0004.png").read_bytes())
    said = resect("estimate", photo, other, "--scene", place, "--threads", 1, "--json")
    assert [row["photo"] for row in said.json["photos"]] == ["elsewhere/new.png", "other/new.png"]


def test_the_cameras_source_is_said(place: Path, photo: Path, capture: Path) -> None:
    base = ("estimate", photo, "--scene", place, "--threads", 1, "--json")
    camera = read(capture).cameras[3]
    fov = math.degrees(2 * math.atan(camera.width / 2 / camera.fx))
    for flags, source in (
        ((), "scene"),
        (("--fov-deg", fov), "flag"),
        (("--camera", capture / "transforms.json"), "flag"),
    ):
        said = resect(*base, *flags)
        assert said.code == 0, said.err
        assert said.json["photos"][0]["camera_source"] == source


def test_a_photo_of_another_shape_has_its_focal_length_found(place: Path, photo: Path, capture: Path) -> None:
    """Cropped, the scene's camera does not fit: landmarks find the focal length."""
    with Image.open(photo) as image:
        image.crop((8, 0, 88, 72)).resize((320, 288), Image.Resampling.LANCZOS).save(photo)
    said = resect("estimate", photo, "--scene", place, "--threads", 1, "--json")
    assert said.code == 0, said.err
    row = said.json["photos"][0]
    assert row["camera_source"] == "prior"
    assert row["focal_px"] == pytest.approx(4 * read(capture).cameras[3].fx, rel=0.1)
    only = resect("estimate", photo, "--scene", place, "--prior", "retrieval", "--threads", 1)
    assert only.code == 3
    assert "--fov-deg" in only.out


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_start_takes_the_place_of_a_prior(place: Path, photo: Path, capture: Path, tmp_path: Path, kind: str) -> None:
    truth = read(capture).truth.cam_from_world[3].double()
    import torch

    off = truth.retract(torch.tensor([0.02, -0.02, 0.02, 0.02, -0.02, 0.0], dtype=torch.float64))
    path = tmp_path / f"start.{kind}"
    if kind == "json":
        pose_json(path, off)
    else:
        write_poses(path, [PoseRow("images/new.png", "OK", off), PoseRow("images/x.png", "OK", truth)], "m")
    said = resect("estimate", photo, "--scene", place, "--start", path, "--threads", 1, "--json")
    assert said.code == 0, said.err
    assert error_deg(said.json["photos"][0], capture) < 1


def test_starts_that_know_the_truth_are_refused(place: Path, photo: Path, capture: Path, tmp_path: Path) -> None:
    truth = read(capture).truth.cam_from_world[3].double()
    write_poses(tmp_path / "start.csv", [PoseRow("new.png", "OK", truth, oracle=True)], "m")
    said = resect("estimate", photo, "--scene", place, "--start", tmp_path / "start.csv")
    assert said.code == 2
    assert "oracle" in said.err
    assert "benchmark" in said.err


def test_a_photo_without_a_row_among_the_starts(place: Path, photo: Path, answers: Path) -> None:
    said = resect("estimate", photo, "--scene", place, "--start", answers)
    assert said.code == 2
    assert "new.png" in said.out


def test_near_is_information_beside_the_priors(place: Path, photo: Path, capture: Path, tmp_path: Path) -> None:
    import torch

    truth = read(capture).truth.cam_from_world[3].double()
    near = truth.retract(torch.tensor([0.05, 0.0, 0.0, 0.0, 0.05, 0.0], dtype=torch.float64))
    path = pose_json(tmp_path / "near.json", near)
    base = ("estimate", photo, "--scene", place, "--near", path, "--threads", 1, "--json")
    said = resect(*base)
    assert said.code == 0, said.err
    row = said.json["photos"][0]
    assert error_deg(row, capture) < 1
    assert row["near_sigmas"] < 5
    away = pose_json(tmp_path / "away.json", look_at(truth.center + 5, truth.center, torch.tensor([0.0, 0, 1])))
    wrong = resect(*(away if a is path else a for a in base), "--sigma", 2, 0.01)
    row = wrong.json["photos"][0]
    assert row["status"] != "OK" or "σ from --near" in wrong.out  # never a quiet contradiction


def test_up_needs_to_know_the_worlds(place: Path, photo: Path, capture: Path) -> None:
    base = ("estimate", photo, "--scene", place, "--threads", 1, "--json")
    assert "--world-up" in resect(*base, "--up", 0, -1, 0).err
    truth = read(capture).truth.cam_from_world[3]
    seen = [round(float(x), 4) for x in truth.R[:, 2]]
    said = resect(*base, "--up", *seen, "--up-sigma", 0.5, "--world-up", 0, 0, 1)
    assert said.code == 0, said.err
    assert error_deg(said.json["photos"][0], capture) < 1
    assert resect(*base, "--up", 0, 0, 0, "--world-up", 0, 0, 1).code == 2


@pytest.mark.parametrize(
    "flags",
    [
        ("--count", 0),
        ("--fov-deg", 190),
        ("--fov-deg", 60, "--camera", "x.json"),
        ("--sigma", 0, 1, "--start", "x.json"),
        ("--start", "x.json", "--prior", "landmarks"),
        ("--start", "nothing.json"),
        ("--camera", "nothing.json"),
        ("--prior", "nothing"),
        ("--focal-sigma", -1),
        ("--depth", "nothing.png"),
        ("--depth-unit", 0),
        ("--lock", "rotation"),
        ("--lock", "rotations", "--start", "x.json"),
        ("--lock", "rotation,translation", "--start", "x.json"),
    ],
)
def test_flags_are_checked(place: Path, photo: Path, flags: tuple[object, ...]) -> None:
    said = resect("estimate", photo, "--scene", place, *flags)
    assert said.code == 2
    assert "Traceback" not in said.err


def test_a_blurred_photo_may_fail_but_says_so(place: Path, photo: Path, capture: Path) -> None:
    with Image.open(photo) as image:
        image.filter(ImageFilter.GaussianBlur(12)).save(photo)
    said = resect("estimate", photo, "--scene", place, "--threads", 1, "--json")
    assert said.code in (0, 3)
    row = said.json["photos"][0]
    assert row["advice"] if said.code == 3 else error_deg(row, capture) < 5


def test_answers_are_those_of_predict(place: Path, capture: Path, answers: Path, tmp_path: Path) -> None:
    """The same photo under the same name gets the same answer, bit for bit, from another command."""
    again = tmp_path / "again.csv"
    said = resect("predict", capture, "--scene", place, "--out", again, "--threads", 1)
    assert said.code == 0, said.err
    assert without_seconds(again) == without_seconds(answers)


def test_a_locked_rotation_is_that_of_the_start(place: Path, capture: Path, photo: Path, tmp_path: Path) -> None:
    import torch

    truth = read(capture).truth.cam_from_world[3].double()
    off = pose_json(tmp_path / "off.json", truth.retract(torch.tensor([0.05, 0.02, -0.04, 0, 0, 0]).double()))
    base = ("estimate", photo, "--scene", place, "--threads", 1, "--json")
    alone = resect(*base, "--lock", "rotation")
    assert "--start" in alone.err
    for how in ("--start", "--near"):
        said = resect(*base, how, off, "--sigma", 3, 0.05, "--lock", "rotation")
        assert said.code == 0, said.err
        row = said.json["photos"][0]
        assert error_deg(row, capture) < 1e-4
        assert row["sigma_deg"] < 1e-3
        center = torch.tensor(row["camera_center"], dtype=torch.float64)
        assert (center - truth.center).norm() < 0.02


def test_predict_from_starts(place: Path, capture: Path, answers: Path, tmp_path: Path) -> None:
    """A pose file serves as the starts of another run; what it does not hold is said before any work."""
    base = ("predict", capture, "--scene", place, "--threads", 1, "--start", answers)
    said = resect(*base, "--out", tmp_path / "p.csv", "--lock", "wx,wy,wz")
    assert said.code == 0, said.err
    before, after = ([r for r in read_poses(p).rows if r.mode == 0] for p in (answers, tmp_path / "p.csv"))
    for old, new in zip(before, after, strict=True):
        assert old.cam_from_world is not None
        assert new.cam_from_world is not None
        assert (old.cam_from_world.R - new.cam_from_world.R).abs().max() < 1e-6
    other = resect(*base, "--out", tmp_path / "p.csv", "--lock", "wx,wy")
    assert other.code == 2
    assert "lock" in other.err
    assert "images/" in resect(*base, "--out", tmp_path / "q.csv", "--split", "train").err
    assert resect("predict", capture, "--scene", place, "--out", tmp_path / "r.csv", "--lock", "wx").code == 2


def test_depth_is_used_where_it_is_given(place: Path, capture: Path, photo: Path, tmp_path: Path) -> None:
    base = ("estimate", photo, "--scene", place, "--threads", 1, "--json")
    depth = tmp_path / "depth" / "new.png"
    depth.parent.mkdir()
    depth.write_bytes((capture / "depth" / "0003.png").read_bytes())
    rows = [resect(*base, *more).json["photos"][0] for more in ((), ("--depth", depth), ("--depth", depth.parent))]
    plain, one, folder = (row["camera_center"] for row in rows)
    assert one == folder != plain
    assert rows[1]["sigma_units"] < rows[0]["sigma_units"]
    assert error_deg(rows[1], capture) < 1
    several = resect("estimate", photo, capture / "images" / "0004.png", "--scene", place, "--depth", depth)
    assert several.code == 2
    depth.rename(depth.with_name("other.png"))
    assert "named 'new'" in resect(*base, "--depth", depth.parent).out


def test_predict_may_leave_depth_out(place: Path, capture: Path, answers: Path, tmp_path: Path) -> None:
    said = resect("predict", capture, "--scene", place, "--out", tmp_path / "p.csv", "--threads", 1, "--no-depth")
    assert said.code == 0, said.err
    assert without_seconds(tmp_path / "p.csv") != without_seconds(answers)
