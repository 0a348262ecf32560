"""Known objects from the command line: estimate, predict, score, render; what is said of bad input."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from shell import Said, resect

from resect.cli.asked import Asking
from resect.data.bop import read_results, write_bop
from resect.data.image import png_bytes
from resect.data.mesh import write_mesh
from resect.data.object_set import ObjectSet
from resect.evaluation.pose_file import read_poses
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.mesh import Mesh
from resect.geometry.se3 import SE3
from resect.geometry.solids import box
from resect.known_objects import KnownObjects
from resect.refine.object.refiner import ObjectInversion
from resect.refine.object.settings import ObjectSettings
from resect.scenes.mesh.scene import MeshScene
from resect.types import Photo, PhotoSet, Target, Truth, World

CAMERA = Camera(300.0, 300.0, 80.0, 60.0, 160, 120)
TRUTH = SE3(so3.exp(torch.tensor([[1.9, 0.6, -0.4]])), torch.tensor([[5.0, -8.0, 300.0]]))
QUICK = ("--count", 400, "--threads", 1, "--json")


def ell() -> Mesh:
    """An L of two boxes in millimetres, its corners coloured: no two views of it are alike."""
    first, second = box((60.0, 30.0, 20.0)), box((20.0, 30.0, 60.0))
    vertices = torch.cat([first.vertices, second.vertices + torch.tensor([20.0, 0.0, 40.0])])
    colors = 0.15 + 0.7 * torch.rand(len(vertices), 3, generator=torch.Generator().manual_seed(1))
    return Mesh(vertices, torch.cat([first.faces, second.faces + len(first.vertices)]), colors, meters_per_unit=0.001)


def photographed() -> tuple[torch.Tensor, torch.Tensor]:
    """The solid before a grey wall, and its mask."""
    shown = MeshScene(ell()).render(CAMERA, TRUTH, ("rgb", "alpha"))
    assert shown.rgb is not None
    assert shown.alpha is not None
    inside = (shown.alpha[0] > 0.5).reshape(120, 160)
    wall = 0.4 + 0.2 * torch.rand(1, 1, 12, 16, generator=torch.Generator().manual_seed(0))
    wall = torch.nn.functional.interpolate(wall, (120, 160), mode="bilinear")[0, 0, :, :, None]
    return torch.where(inside[..., None], shown.rgb[0].reshape(120, 160, 3), wall), inside


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refiner that follows few candidates, where it does not matter how good the pose is."""
    settings = ObjectSettings(settle_px=(48,), keep=(4,), steps=4, among_depths=(1.0,))
    monkeypatch.setattr(
        "resect.refine.object.refiner.ObjectInversion", lambda **given: ObjectInversion(settings, **given)
    )


def box_around(inside: torch.Tensor) -> tuple[float, float, float, float]:
    rows, columns = inside.nonzero(as_tuple=True)
    left, top, right, bottom = (int(x) for x in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return left, top, right, bottom


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ell.ply, photo.png, camera.json, mask.png and start.json."""
    folder = tmp_path_factory.mktemp("desk")
    write_mesh(ell(), folder / "ell.ply")
    image, inside = photographed()
    (folder / "photo.png").write_bytes(png_bytes((image * 255).round().byte()))
    (folder / "mask.png").write_bytes(png_bytes(inside.byte() * 255))
    camera = {"fx": 300, "fy": 300, "cx": 80, "cy": 60, "width": 160, "height": 120}
    (folder / "camera.json").write_text(json.dumps(camera))
    pose = TRUTH[0].retract(torch.tensor([3.0, -2.0, 4.0, 0.1, -0.1, 0.05]), about=torch.zeros(3))
    (folder / "start.json").write_text(json.dumps({"cam_from_world": pose.double().matrix().tolist()}))
    return folder


def estimate(desk: Path, *flags: object, scene: object = None, photo: object = None) -> Said:
    base = ("estimate", photo or desk / "photo.png", "--scene", scene or desk / "ell.ply")
    return resect(*base, "--camera", desk / "camera.json", *QUICK, *flags)


def error_deg(row: dict[str, Any]) -> float:
    found = so3.from_quaternion(torch.tensor(row["cam_from_world_wxyz"]))
    return float(so3.angle(found, TRUTH.R[0]).rad2deg())


def test_a_box_is_enough_and_the_overlay_is_where_the_object_is(desk: Path, tmp_path: Path) -> None:
    _, inside = photographed()
    edges = ",".join(str(x) for x in box_around(inside))
    said = estimate(desk, "--box", edges, "--units", "mm", "--out", tmp_path / "out")
    assert said.code == 0, said.err
    (row,) = said.json["photos"]
    assert row["target"] == "ell"
    assert error_deg(row) < 8
    assert row["distance_m"] == pytest.approx(0.3, abs=0.03)
    (best, *_) = read_poses(tmp_path / "out" / "poses.csv").rows
    assert (best.photo, best.target) == ("photo.png", "ell")
    assert (tmp_path / "out" / "report.html").is_file()
    with Image.open(tmp_path / "out" / "photo.overlay.png") as picture:
        drawn = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    outline = (drawn.reshape(120, 160, 3) == torch.tensor([57, 255, 20], dtype=torch.uint8)).all(-1)
    left, top, right, bottom = box_around(outline)
    assert [left + 1, top + 1, right - 1, bottom - 1] == pytest.approx(box_around(inside), abs=3)
    again = estimate(desk, "--box", edges, "--out", tmp_path / "out")
    assert again.code == 2  # nothing is written over unasked


@pytest.mark.usefixtures("hasty")
def test_a_mask_or_what_is_not_transparent_says_where_it_is(desk: Path, tmp_path: Path) -> None:
    masked = estimate(desk, "--mask", desk / "mask.png")
    assert masked.code == 0, masked.err
    with Image.open(desk / "photo.png") as picture, Image.open(desk / "mask.png") as mask:
        cut = picture.convert("RGBA")
        cut.putalpha(mask.convert("L"))
    cut.save(tmp_path / "cut.png")
    said = estimate(desk, photo=tmp_path / "cut.png")
    assert said.code == 0, said.err
    found = [r.json["photos"][0]["cam_from_world_t"] for r in (masked, said)]
    assert found[0] == pytest.approx(TRUTH.t[0].tolist(), abs=30)
    assert found[1] == pytest.approx(TRUTH.t[0].tolist(), abs=30)


@pytest.mark.usefixtures("hasty")
def test_a_fitted_prior_says_how_the_object_is_turned(desk: Path, tmp_path: Path) -> None:
    """With first weights in place of learned ones, it guesses somehow; the guess is laid into the mask and refined."""
    from resect.priors.viewpoint.network import make_network
    from resect.priors.viewpoint.prior import Viewpoint, ready
    from resect.priors.viewpoint.settings import ViewpointSettings

    settings = ViewpointSettings(encoder_width=4, side=32, hidden=32, bins=16, tensorboard=False)
    network = ready(make_network(settings, 1, 0), settings)
    Viewpoint(network, settings, ("ell",), 300.0).save(tmp_path / "viewpoint")
    alone = estimate(desk, "--mask", desk / "mask.png", "--prior", tmp_path / "viewpoint")
    assert alone.code in (0, 3), alone.err
    (row,) = alone.json["photos"]
    assert row["target"] == "ell"
    both = estimate(desk, "--mask", desk / "mask.png", "--prior", tmp_path / "viewpoint", "views")
    assert both.code == 0, both.err


def test_a_start_needs_no_box(desk: Path) -> None:
    said = estimate(desk, "--start", desk / "start.json", "--sigma", 6, 0.05)
    assert said.code == 0, said.err
    assert error_deg(said.json["photos"][0]) < 6


@pytest.mark.usefixtures("hasty")
def test_detections_name_their_objects(desk: Path, tmp_path: Path) -> None:
    _, inside = photographed()
    left, top, right, bottom = box_around(inside)
    entry = {"image_id": 1, "bbox": [left, top, right - left, bottom - top]}
    annotations = [{**entry, "category_id": 3}, {**entry, "category_id": 3, "score": 0.4}, {**entry, "category_id": 8}]
    (tmp_path / "found.json").write_text(
        json.dumps({"images": [{"id": 1, "file_name": "photo.png"}], "annotations": annotations})
    )
    scene = f"3={desk / 'ell.ply'}"
    said = estimate(desk, "--detections", tmp_path / "found.json", "--out", tmp_path / "out", scene=scene)
    assert said.code == 0, said.err
    assert [(r["target"], r["instance"], r["score"]) for r in said.json["photos"]] == [("3", 0, 1.0), ("3", 1, 0.4)]
    assert {row.target for row in read_poses(tmp_path / "out" / "poses.csv").rows} == {"3", "3#1"}
    other = estimate(desk, "--detections", tmp_path / "found.json")
    assert other.code == 2
    assert "--scene ID=MESH" in other.err


def test_bop_detections_are_found_by_the_folder_of_their_scene(desk: Path, tmp_path: Path) -> None:
    """As BOP hands them out; the photo itself is called by its file's name alone."""
    results = [{"scene_id": s, "image_id": 3, "category_id": 3, "bbox": [s, 10, 20, 20], "score": 1} for s in (1, 2)]
    (tmp_path / "found.json").write_text(json.dumps(results))
    objects = KnownObjects({"3": desk / "ell.ply"})
    ask = Asking(detections=tmp_path / "found.json").reader(objects)
    photo = Photo("000003.png", torch.zeros(120, 160, 3), CAMERA, "made")
    ((asked, begin),) = ask(photo, Path("test/000002/rgb/000003.png"))
    assert (asked.name, begin) == ("000003.png", None)
    assert asked.target is not None
    assert asked.target.box == (2, 10, 22, 30)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "--box"),
        (("--box", "1,2,3"), "LEFT,TOP,RIGHT,BOTTOM"),
        (("--box", "30,10,20,40"), "right beyond left"),
        (("--box", "300,10,400,40"), "a box inside photo.png"),
        (("--box", "10,10,40,40", "--mask", "mask.png"), "one way"),
        (("--mask", "nothing.png"), "--mask"),
        (("--contour", "nothing.txt"), "--contour"),
        (("--detections", "nothing.json"), "--detections"),
        (("--start", "nothing.json"), "nothing.json"),
        (("--units", "furlong", "--box", "10,10,40,40"), "--units"),
        (("--prior", "retrieval", "--box", "10,10,40,40"), "views"),
        (("--lock", "rotation", "--start", "x.json"), "--lock"),
        (("--scene", "nothing.ply"), "nothing there"),
    ],
)
def test_bad_input_is_said(desk: Path, flags: tuple[object, ...], words: str) -> None:
    said = estimate(desk, *flags)
    assert said.code == 2, said.err
    assert words in said.err
    assert "Traceback" not in said.err


def test_masks_that_do_not_fit_are_refused(desk: Path, tmp_path: Path) -> None:
    Image.new("L", (80, 60), 255).save(tmp_path / "small.png")
    Image.new("L", (160, 120), 0).save(tmp_path / "empty.png")
    assert "160x120" in estimate(desk, "--mask", tmp_path / "small.png").err
    assert "an empty one" in estimate(desk, "--mask", tmp_path / "empty.png").err


def test_a_mesh_cut_short_is_refused(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "short.ply").write_bytes((desk / "ell.ply").read_bytes()[:-7])
    said = estimate(desk, "--box", "10,10,40,40", scene=tmp_path / "short.ply")
    assert said.code == 2
    assert "short.ply: expected" in said.err
    assert "cut short" in said.err
    assert not said.out  # no photo is at fault


def test_starts_out_of_view_get_a_status_and_no_pose(desk: Path, tmp_path: Path) -> None:
    for name, t in (("behind", [0.0, 0.0, -300.0]), ("aside", [9000.0, 0.0, 300.0])):
        pose = SE3(torch.eye(3), torch.tensor(t)).matrix().tolist()
        (tmp_path / f"{name}.json").write_text(json.dumps({"cam_from_world": pose}))
        said = estimate(desk, "--start", tmp_path / f"{name}.json", "--sigma", 3, 0.02)
        assert said.code == 3, said.err
        (row,) = said.json["photos"]
        assert row["status"] == "OUT_OF_VIEW"
        assert row["advice"]
        assert "cam_from_world_t" not in row


@pytest.mark.usefixtures("hasty")
def test_millimetres_given_as_metres_are_said_out_loud(desk: Path, tmp_path: Path) -> None:
    pose = TRUTH[0].double()
    _, inside = photographed()
    edges = ",".join(str(x) for x in box_around(inside))
    for factor, flags, words in (
        (1e-3, (), "in millimetres and one in metres"),
        (1e3, (), "in millimetres and one in metres"),
        (1e3, ("--box", edges), "As if metres were taken for millimetres"),
    ):
        matrix = SE3(pose.R, pose.t * factor).matrix().tolist()
        (tmp_path / "start.json").write_text(json.dumps({"cam_from_world": matrix}))
        said = estimate(desk, "--start", tmp_path / "start.json", "--sigma", 1, 0.01, *flags)
        assert words in said.err


def test_without_a_camera_there_is_no_pose(desk: Path) -> None:
    said = resect("estimate", desk / "photo.png", "--scene", desk / "ell.ply", "--box", "10,10,40,40", *QUICK)
    assert said.code == 3
    assert said.json["photos"][0]["status"] == "NO_CAMERA"
    assert "--fov-deg" in said.out


def test_a_place_takes_no_box(place: Path, desk: Path) -> None:
    said = resect("estimate", desk / "photo.png", "--scene", place, "--box", "1,2,30,40")
    assert said.code == 2
    assert "mesh" in said.err


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BOP dataset with one photo of the object."""
    out = tmp_path_factory.mktemp("bop") / "desk"
    image, inside = photographed()
    target = Target("4", box=tuple(float(x) for x in box_around(inside)), mask=inside)  # type: ignore[arg-type]
    photo = Photo("photo.png", image, CAMERA, "made", target)
    photos = PhotoSet(out, "made", ("photo.png",), (CAMERA,), Truth(TRUTH.double()), World(0.001), lambda _: photo)
    write_bop({"4": ObjectSet("4", photos, load_mesh=ell, visible=torch.ones(1))}, out)
    return out


@pytest.mark.usefixtures("hasty")
def test_predict_and_score_a_bop_dataset(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "resect_desk-test.csv"
    command = ("predict", dataset, "--scene", dataset / "models", "--out", out, *QUICK)
    said = resect(*command)
    assert said.code == 0, said.err
    assert said.json == {"out": str(out), "objects": 1, "failed": 0}
    found = read_results(out)
    assert found.object_id == (4,)
    assert float((found.cam_from_obj.t[0] - TRUTH.t[0]).norm()) < 30
    before = out.read_bytes()
    assert resect(*command).code == 0  # done already
    assert out.read_bytes() == before
    scored = resect("score", out, dataset, "--threads", 1, "--json")
    assert scored.code == 0, scored.err
    assert scored.json["recall_5deg_5cm"] in (0.0, 1.0)
    other = resect(*command, "--from", "mask")
    assert other.code == 2  # another configuration
    assert "from" in other.err
    again = tmp_path / "again_desk-test.csv"
    refined = resect("predict", dataset, "--scene", dataset / "models", "--start", out, "--out", again, *QUICK)
    assert refined.code == 0, refined.err
    assert float((read_results(again).cam_from_obj.t[0] - TRUTH.t[0]).norm()) < 30


@pytest.mark.parametrize(
    ("name", "scene", "words"),
    [("poses.csv", "models", "METHOD_DATASET-SPLIT"), ("r_d-test.csv", "../ell.ply", "nothing there")],
)
def test_predict_checks_before_it_works(dataset: Path, tmp_path: Path, name: str, scene: str, words: str) -> None:
    said = resect("predict", dataset, "--scene", dataset / scene, "--out", tmp_path / name, *QUICK)
    assert said.code == 2
    assert words in said.err


def test_a_mesh_that_no_photo_shows(dataset: Path, desk: Path, tmp_path: Path) -> None:
    said = resect("predict", dataset, "--scene", desk / "ell.ply", "--out", tmp_path / "r_d-test.csv", *QUICK)
    assert said.code == 2
    assert "--scene ID=MESH" in said.err


def test_render_of_a_mesh(desk: Path, tmp_path: Path) -> None:
    mesh = desk / "ell.ply"
    base = ("render", mesh, "--max-side", 60, "--threads", 1, "--json")
    said = resect(*base, "--turntable", 5, "--out", tmp_path / "turn.gif")
    assert said.code == 0, said.err
    with Image.open(tmp_path / "turn.gif") as turn:
        assert turn.n_frames == 5  # type: ignore[attr-defined]
    assert resect(*base, "--turntable", 2, "--up", "-y", "--out", tmp_path / "two").code == 0
    for i in range(2):
        with Image.open(tmp_path / "two" / f"{i:05d}.png") as picture:
            assert picture.getpixel((0, 0)) == (255, 255, 255)
            assert picture.entropy() > 1
    assert "--turntable" in resect(*base, "--out", tmp_path / "none").err
    assert resect(*base, "--turntable", -1, "--out", tmp_path / "none").code == 2
