import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resect.cli.main import main
from resect.data.mesh import read_mesh
from resect.data.procedural_shapes.families import draw
from resect.data.procedural_shapes.make import make_shapes
from resect.data.procedural_shapes.settings import ProceduralSettings
from resect.data.shapes import read_shapes
from resect.data.view_list import read_views
from resect.evaluation.pose_file import read_poses
from resect.geometry import so3
from resect.priors.upright import viewpoint_of, viewpoint_rotation
from resect.shape.network import make_network
from resect.shape.occupancy import Occupancy
from resect.shape.settings import OccupancySettings

FOV = ("--fov-deg", "49.13", "--threads", "1")
SMALL = ProceduralSettings(train=0, val=0, test=2, views=1, side=96, points=64, train_points=64, surface=64)


@pytest.fixture(scope="module")
def chairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("chairs")
    make_shapes("chair", SMALL, out)
    return out


@pytest.fixture
def perfect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network that always sees the first test chair as it is."""
    settings = OccupancySettings(encoder_width=4, side=32, code=8, width=8, blocks=1)
    Occupancy(make_network(settings, 0), settings, ("chair",)).save(tmp_path / "network")

    def mesh(self: Occupancy, **options: Any) -> Any:
        return draw("chair", "test", 0).mesh().to(torch.float32)

    monkeypatch.setattr(Occupancy, "mesh", mesh)
    return tmp_path / "network"


def test_mesh_pose_and_tables(chairs: Path, perfect: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes, out = read_shapes(chairs, "test"), tmp_path / "out"
    photo = str(shapes.images(0)[0])
    assert main(["reconstruct", photo, "--shape", str(perfect), "--out", str(out), "--json", *FOV]) == 0
    (facts,) = json.loads(capsys.readouterr().out.splitlines()[-1])["made"]
    truth = shapes.cam_from_obj(0, 0)
    (row, *_) = read_poses(out / "poses.csv").rows
    assert row.cam_from_world is not None
    assert float(so3.angle(row.cam_from_world.R, truth.R).rad2deg()) < 3
    assert float((row.cam_from_world.t - truth.t).norm()) < 0.1
    expected = viewpoint_of(truth.R).rad2deg()
    assert facts["viewpoint_deg"][1] == pytest.approx(float(expected[1]), abs=3)
    views = read_views(out / "views.txt")
    assert views.names == (row.photo,)
    assert so3.angle(viewpoint_rotation(views.viewpoint[0]), row.cam_from_world.R.double()) < 1e-4
    assert float(views.distance[0]) == pytest.approx(float(row.cam_from_world.center.norm()), rel=1e-4)
    _, *sides = (out / "boxes.txt").read_text().split()
    seen = row.cam_from_world.apply(read_mesh(out / "000.ply").vertices.double())
    assert [float(x) for x in sides] == pytest.approx(
        [float(x) for axis in range(3) for x in (seen[:, axis].min(), seen[:, axis].max())], abs=1e-4
    )
    assert {"000.ply", "000.gif", "000.overlay.png"} <= {p.name for p in out.iterdir()}
    assert main(["reconstruct", photo, "--shape", str(perfect), "--out", str(out), *FOV]) == 2  # not written over


def test_shape_and_pose_are_fitted_together(
    chairs: Path, perfect: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The surface of what the network says is inside: a ball, whose code is not there to be moved."""

    def ball(self: Occupancy, points: Any, code: Any) -> Any:
        return 8 * (0.4 - points.norm(dim=-1)) + 0 * code.sum()

    monkeypatch.setattr(Occupancy, "occupancy", ball)
    photo = str(read_shapes(chairs, "test").images(0)[0])
    flags = ["--shape", str(perfect), "--out", str(tmp_path / "out"), "--joint-steps", "5", "--json", *FOV]
    assert main(["reconstruct", photo, *flags]) == 0
    (facts,) = json.loads(capsys.readouterr().out.splitlines()[-1])["made"]
    before, after = facts["overlap"]
    assert 0.1 < before <= after


def test_a_table_with_viewpoints(chairs: Path, perfect: Path, tmp_path: Path) -> None:
    shapes, out = read_shapes(chairs, "test"), tmp_path / "out"
    azimuth, elevation, _ = viewpoint_of(shapes.cam_from_obj(0, 0).R).rad2deg().tolist()
    name = shapes.images(0)[0].relative_to(chairs).as_posix()
    table = f"photo,azimuth_deg,elevation_deg,tilt_deg\n{name},{azimuth + 366:.2f},{elevation + 4:.2f},0\n"
    (chairs / "views.csv").write_text(table)
    assert (
        main(["reconstruct", "--batch", str(chairs / "views.csv"), "--shape", str(perfect), "--out", str(out), *FOV])
        == 0
    )
    (row, *_) = read_poses(out / "poses.csv").rows
    assert row.cam_from_world is not None
    assert float(so3.angle(row.cam_from_world.R, shapes.cam_from_obj(0, 0).R).rad2deg()) < 3


def test_without_a_camera_there_is_a_mesh_and_no_pose(
    chairs: Path, perfect: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    Image.new("RGB", (40, 30), "white").save(tmp_path / "white.png")
    photo, out = str(read_shapes(chairs, "test").images(1)[0]), tmp_path / "out"
    white = str(tmp_path / "white.png")
    assert main(["reconstruct", photo, white, "--shape", str(perfect), "--out", str(out), "--threads", "1"]) == 3
    said = capsys.readouterr()
    assert "no pose without --camera" in said.out
    assert "white.png" in said.err
    assert not (out / "poses.csv").exists()


def test_masks_must_fit_and_backgrounds_be_plain(
    chairs: Path, perfect: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    photo = read_shapes(chairs, "test").images(1)[0]
    Image.new("L", (48, 48), 255).save(tmp_path / "small.png")
    Image.new("L", (96, 96), 0).save(tmp_path / "empty.png")
    wall, cut = Image.new("RGB", (96, 96), (200, 120, 90)), Image.open(photo)
    wall.paste(cut, mask=cut.getchannel("A"))
    wall.save(tmp_path / "wall.png")
    for k, (arguments, says) in enumerate(
        (
            ([str(photo), "--mask", str(tmp_path / "small.png")], "the photo's size 96x96, got 48x48"),
            ([str(photo), "--mask", str(tmp_path / "empty.png")], "an empty one"),
            ([str(tmp_path / "wall.png")], "an object before white, or a mask"),
        )
    ):
        out = str(tmp_path / f"out{k}")
        assert main(["reconstruct", *arguments, "--shape", str(perfect), "--out", out, *FOV]) == 2
        assert says in capsys.readouterr().err


def test_a_white_background_is_as_good_as_a_mask(chairs: Path, perfect: Path, tmp_path: Path) -> None:
    from PIL import Image

    shapes, out = read_shapes(chairs, "test"), tmp_path / "out"
    cut = Image.open(shapes.images(0)[0])
    white = Image.new("RGB", cut.size, "white")
    white.paste(cut, mask=cut.getchannel("A"))
    white.save(tmp_path / "white.png")
    assert main(["reconstruct", str(tmp_path / "white.png"), "--shape", str(perfect), "--out", str(out), *FOV]) == 0
    (row, *_) = read_poses(out / "poses.csv").rows
    assert row.cam_from_world is not None
    assert float(so3.angle(row.cam_from_world.R, shapes.cam_from_obj(0, 0).R).rad2deg()) < 5
    overlay = np.asarray(Image.open(out / "white.overlay.png").convert("RGB"))
    assert (overlay == (57, 255, 20)).all(-1).any()  # the outline


def test_bad_input_is_said_before_any_work(
    chairs: Path, perfect: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = str(read_shapes(chairs, "test").images(0)[0])
    for arguments, says in (
        ([], "both or neither"),
        ([photo, photo], "names that differ"),
        ([photo, "--cells", "0"], "--cells"),
        ([photo, "--mask", str(tmp_path)], "mask named"),
        (["--batch", str(tmp_path / "none.csv")], "no file"),
    ):
        out = str(tmp_path / "out")
        assert main(["reconstruct", *arguments, "--shape", str(perfect), "--out", out]) == 2
        assert says in capsys.readouterr().err
