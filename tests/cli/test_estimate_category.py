"""Photos of a category from the command line: known, unknown, in relation to a reference, and a whole folder."""

from pathlib import Path

import pytest
import torch
from shell import resect

from resect.data.image import png_bytes
from resect.data.instances import write_instance
from resect.evaluation.descent import read_descent
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at
from resect.scenes.sigma_srn.network import SigmaSrnNetwork
from resect.scenes.sigma_srn.orbit import Learned, Orbit
from resect.scenes.sigma_srn.published import published_names
from resect.scenes.sigma_srn.scene import SigmaSrn, ready
from resect.scenes.sigma_srn.settings import SigmaSrnSettings

CAMERA = Camera.from_fov(0.8, 16, 16)
SETTINGS = SigmaSrnSettings(code=4, width=12, state=4, marches=2, start=1.0, sides=(16,))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained category, and views of its two instances as it shows them."""
    root = tmp_path_factory.mktemp("category")
    azimuth = torch.arange(5) * 1.3
    poses = look_at(torch.stack([1.8 * azimuth.cos(), 1.8 * azimuth.sin(), 0.6 + 0.1 * azimuth], -1), torch.zeros(5, 3))
    network = SigmaSrnNetwork(SETTINGS, 2, 0)
    torch.nn.init.normal_(network.latent_codes.weight, generator=torch.Generator().manual_seed(1))
    learned = Learned(("a", "b"), ((-0.9,) * 3, (0.9,) * 3), Orbit.of(poses), CAMERA, 0.05)  # type: ignore[arg-type]
    scene = SigmaSrn(ready(network, SETTINGS), SETTINGS, learned)
    scene.save(root / "scene")
    for k, name in enumerate(learned.instances):
        rgb = scene.of(k).render(CAMERA, poses).rgb
        assert rgb is not None
        images = [png_bytes((255 * x.reshape(16, 16, 3)).round().byte()) for x in rgb]
        write_instance(root / "views" / name, images, CAMERA, poses)
    return root


def test_a_photo_of_a_learned_and_of_any_instance(made: Path, tmp_path: Path) -> None:
    photo = made / "views" / "a" / "rgb" / "000001.png"
    asked = ("estimate", photo, "--scene", made / "scene", "--threads", 1, "--json")
    known = resect(*asked, "--instance", "a", "--out", tmp_path / "out")
    assert known.code in (0, 3), known.err
    assert (tmp_path / "out" / "report.html").is_file()
    unknown = resect(*asked)
    assert unknown.code in (0, 3), unknown.err
    wrong = resect(*asked, "--instance", "c")
    assert wrong.code == 2
    assert "a, b" in wrong.err
    assert resect(*asked, "--box", "0,0,4,4").code == 2


def test_the_published_way_leaves_tables_curves_and_a_film(made: Path, tmp_path: Path) -> None:
    asked = ("estimate", made / "views" / "a" / "rgb" / "000001.png", "--scene", made / "scene", "--instance", "a")
    small = ("--category.sides", 16, "--category.keep", 1, "--category.steps", 1, "--category.adam-steps", 3)
    adam = ("--category.optimizer", "adam", "--category.loss", "l1", *small)
    said = resect(*asked, *adam, "--out", tmp_path / "out", "--threads", 1, "--json")
    assert said.code in (0, 3), said.err
    losses = read_descent(tmp_path / "out" / "000001.steps.csv").loss
    assert len(losses) == 3
    assert losses[2] < losses[0]
    assert (tmp_path / "out" / "000001.gif").stat().st_size > 100
    assert "<svg" in (tmp_path / "out" / "steps.html").read_text()
    wrong = resect(*asked, "--category.sides", 16, 32)
    assert wrong.code == 2
    assert "for each side" in wrong.err
    mesh = resect("estimate", asked[1], "--scene", "mug=mug.ply", "--category.loss", "l1")
    assert mesh.code == 2
    assert "a category as --scene" in mesh.err


def test_a_reference_gives_the_motion_between_two_photos(made: Path) -> None:
    photos = [made / "views" / "b" / "rgb" / f"00000{k}.png" for k in (0, 2)]
    said = resect("estimate", photos[1], "--reference", photos[0], "--scene", made / "scene", "--threads", 1, "--json")
    assert said.code in (0, 3), said.err
    row = said.json["photos"][0]
    if "camera_center" in row:
        assert row["reference"] == "000000.png"
        assert len(row["cam_from_reference_wxyz"]) == 4


def test_poses_of_a_folder_of_instances_are_predicted_and_scored(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "poses.csv"
    said = resect("predict", made / "views", "--scene", made / "scene", "--out", out, "--threads", 1, "--json")
    assert said.code in (0, 3), said.err
    assert said.json["photos"] == 10
    again = resect("predict", made / "views", "--scene", made / "scene", "--out", out, "--category.loss", "gmsd")
    assert again.code == 2  # a file of other settings is not gone on with
    assert "loss" in again.err
    scored = resect("score", out, made / "views", "--json")
    assert scored.code == 0, scored.err
    assert scored.json["photos"] == 10


def test_a_published_checkpoint_is_imported_with_the_views_it_was_learned_from(made: Path, tmp_path: Path) -> None:
    scene = SigmaSrn.load(made / "scene")
    torch.save({"model": published_names(scene.network), "optimizer": {}}, tmp_path / "epoch_0000_iter_000001.pth")
    command = ("import", tmp_path / "epoch_0000_iter_000001.pth", "--out", tmp_path / "made", "--json")
    assert resect(*command).code == 2
    said = resect(*command, "--photos", made / "views")
    assert said.code == 0, said.err
    assert said.json["instances"] == 2
    assert torch.equal(SigmaSrn.load(tmp_path / "made").codes, scene.codes)


def test_novel_views_are_rendered_and_scored(made: Path, tmp_path: Path) -> None:
    tables = ("--out", tmp_path / "views.csv", "--pictures", tmp_path / "pictures", "--views", 2)
    said = resect("score", made / "scene", made / "views", *tables, "--json")
    assert said.code == 0, said.err
    assert said.json["views"] == 4
    assert said.json["psnr"] > 40  # the photos are its own renders
    assert said.json["iou"] > 0.99
    assert (tmp_path / "pictures" / "b" / "000002.png").is_file()
    assert len((tmp_path / "views.csv").read_text().splitlines()) == 5
    shown = resect("render", made / "scene", made / "views", "--instance", "b", "--out", tmp_path / "b.gif", "--json")
    assert shown.code == 0, shown.err
    assert shown.json["frames"] == 10
