"""From meshes to a detector to a pose, by commands; a photo without objects gets a status."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from shell import resect
from test_objects import TRUTH, ell, photographed

from resect.data import read
from resect.data.image import png_bytes
from resect.data.mask import box_of
from resect.data.mesh import write_mesh
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.known_objects import object_start
from resect.priors.posecnn.prior import PoseCnn
from resect.refine.object.refiner import ObjectInversion
from resect.refine.object.settings import ObjectSettings
from resect.types import Hypotheses, Photo, Target

QUICK = ("--threads", 1, "--json")
TINY = (
    "--posecnn.width", 96, "--posecnn.height", 72, "--posecnn.label-width", 8, "--posecnn.centre-width", 8,
    "--posecnn.cut", 32, "--posecnn.surface-width", 8, "--posecnn.points", 256, "--posecnn.batch", 1,
    "--posecnn.steps", 2,
)  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ell.ply, photo.png, blank.png, camera.json, drawn photos and a network that learned nothing."""
    folder = tmp_path_factory.mktemp("shop")
    write_mesh(ell(), folder / "ell.ply")
    (folder / "photo.png").write_bytes(png_bytes((photographed()[0] * 255).round().byte()))
    (folder / "blank.png").write_bytes(png_bytes(torch.full((120, 160, 3), 99, dtype=torch.uint8)))
    camera = {"fx": 300, "fy": 300, "cx": 80, "cy": 60, "width": 160, "height": 120}
    (folder / "camera.json").write_text(json.dumps(camera))
    drawn = resect(
        "data", "clutter", f"1={folder / 'ell.ply'}", "--units", "mm", "--out", folder / "drawn", "--clutter.images", 2,
        "--clutter.width", 96, "--clutter.height", 72, "--clutter.objects", 1, 2, *QUICK,
    )  # fmt: skip
    assert drawn.code == 0, drawn.err
    fitted = resect("fit", "posecnn", folder / "drawn", "--out", folder / "net", *TINY, *QUICK)
    assert fitted.code == 0, fitted.err
    assert fitted.json["objects"] == ["1"]
    return folder


def told(off_deg: float, times: int = 1) -> "object":
    """A detection of the truth, turned; so many of them."""

    def detect(self: PoseCnn, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
        del self, count
        mask = photographed()[1]
        targets = [Target("1", k, box=box_of(mask), mask=mask, score=0.8 - 0.1 * k) for k in range(times)]
        pose = SE3(TRUTH.R[0] @ so3.exp(torch.tensor([0.0, 0.0, off_deg]).deg2rad()), TRUTH.t[0])
        return [(replace(photo, target=target), object_start(pose, ell())) for target in targets]

    return detect


def asked(shop: Path, photo: str) -> tuple[object, ...]:
    scene = ("--scene", f"1={shop / 'ell.ply'}", "--units", "mm", "--camera", shop / "camera.json")
    return ("estimate", shop / photo, *scene, "--prior", shop / "net", *QUICK)


def test_one_command_from_photo_to_refined_pose(shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = ObjectSettings(settle_px=(48,), keep=(4,), steps=4, among_depths=(1.0,))
    monkeypatch.setattr(
        "resect.refine.object.refiner.ObjectInversion", lambda **given: ObjectInversion(settings, **given)
    )
    monkeypatch.setattr(PoseCnn, "detect", told(6.0, times=2))
    said = resect(*asked(shop, "photo.png"), "--instances", 1, "--out", tmp_path / "answers")
    assert said.code == 0, said.err
    (row,) = said.json["photos"]
    assert row["target"] == "1"
    assert row["score"] == pytest.approx(0.8)
    found = so3.from_quaternion(torch.tensor(row["cam_from_world_wxyz"]))
    assert float(torch.rad2deg(so3.angle(found, TRUTH.R[0]))) < 4
    assert "ms" in row
    assert (tmp_path / "answers" / "photo.overlay.png").is_file()


def test_a_photo_without_objects_gets_a_status(shop: Path, tmp_path: Path) -> None:
    said = resect(*asked(shop, "blank.png"), "--out", tmp_path / "answers")
    assert said.code == 3, said.err
    (row,) = said.json["photos"]
    assert row["status"] == "NO_HYPOTHESIS"
    assert "cam_from_world_t" not in row


def test_score_draws_what_was_found(shop: Path, tmp_path: Path) -> None:
    said = resect("score", shop / "net", shop / "drawn", "--split", "train", "--report", tmp_path / "r", *QUICK)
    assert said.code == 0, said.err
    assert 0 <= said.json["detected"] <= 1
    assert len(list((tmp_path / "r").glob("*.png"))) == 2
    page = (tmp_path / "r" / "report.html").read_text()
    assert page.count("data:image/jpeg") == 2
    assert f"{said.json['asked']} objects asked for" in page
    assert (tmp_path / "r" / "score.json").is_file()
    fewer = resect("score", shop / "net", shop / "drawn", "--split", "train", "--photos", "1", *QUICK)
    assert 0 < fewer.json["asked"] < said.json["asked"]


def test_score_refuses_shares_above_one(shop: Path) -> None:
    said = resect("score", shop / "net", shop / "drawn", "--visible", "2", *QUICK)
    assert said.code == 2
    assert "--visible" in said.err


def test_meshes_that_the_detector_does_not_know_are_refused(shop: Path) -> None:
    arguments = [str(a).replace("1=", "mug=") for a in asked(shop, "photo.png")]
    said = resect(*arguments)
    assert said.code == 2
    assert "meshes of 1" in said.err


def in_room(capture: Path) -> "object":
    """The truth of an object that stands in the room of the tests."""
    photos = read(capture)
    index = {Path(name).stem: i for i, name in enumerate(photos.names)}
    turn = so3.exp(torch.tensor([0.4, -0.2, 1.0], dtype=torch.float64))
    frame = Sim3(torch.tensor(0.001).double(), turn, torch.tensor([2.0, 1.5, 0.8]).double())

    def detect(self: PoseCnn, photo: Photo, count: int) -> list[tuple[Photo, Hypotheses]]:
        del self, count
        true = photos.truth.cam_from_world[index[Path(photo.name).stem]].double()
        pose = frame.inverse().move_camera(true)
        mask = torch.ones(photo.image.shape[:2], dtype=torch.bool)
        target = Target("1", box=box_of(mask), mask=mask, score=0.8)
        return [(replace(photo, target=target), object_start(pose, ell()))]

    return detect


def test_objects_tell_where_the_camera_is_in_a_place(
    shop: Path, capture: Path, own_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PoseCnn, "detect", in_room(capture))
    asked = ("estimate", capture / "images" / "0004.png", "--scene", own_place, "--prior", shop / "net", *QUICK)
    early = resect(*asked)
    assert early.code == 2
    assert "fit object-frames" in early.err
    fitted = resect("fit", "object-frames", capture, "--scene", own_place, "--detector", shop / "net", *QUICK)
    assert fitted.code == 0, fitted.err
    assert fitted.json["objects"]["1"]["photos"] == 8
    assert fitted.json["objects"]["1"]["scale"] == pytest.approx(0.001, rel=1e-3)
    said = resect(*asked)
    assert said.code == 0, said.err
    truth = read(capture).truth.cam_from_world[4]
    found = torch.tensor(said.json["photos"][0]["camera_center"])
    assert float((found - truth.center).norm()) < 0.1
