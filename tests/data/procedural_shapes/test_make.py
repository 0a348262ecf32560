from dataclasses import replace
from pathlib import Path

import pytest
import torch

from resect.data.procedural_shapes.families import draw
from resect.data.procedural_shapes.make import make_shapes
from resect.data.procedural_shapes.settings import ProceduralSettings
from resect.data.shapes import read_shapes
from resect.errors import ResectError

SMALL = ProceduralSettings(train=2, val=1, test=1, views=2, side=32, points=4000, train_points=500, surface=300)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shapes")
    make_shapes("chair", SMALL, out)
    return out


def test_what_is_written_reads_back_exactly(made: Path) -> None:
    shapes = read_shapes(made, "test")
    assert shapes.names == ("chair/test_000000",)
    points, inside = shapes.points(0)
    assert points.shape == (4000, 3)
    assert torch.equal(draw("chair", "test", 0).contains(points.double()), inside)  # float16 rounding and all
    assert 0.003 < float(inside.double().mean()) < 0.06
    near, _ = read_shapes(made, "train").points(1, near=True)
    assert len(near) == 500
    surface, normals = shapes.surface(0)
    assert surface.shape == normals.shape == (300, 3)


def test_views_have_their_pose(made: Path) -> None:
    shapes = read_shapes(made, "train")
    photo, pose = shapes.photo(1, 1), shapes.cam_from_obj(1, 1)
    assert photo.camera is not None
    assert photo.alpha is not None
    pixels, _ = photo.camera.project(pose.apply(shapes.surface(1)[0].double()))
    assert float((photo.alpha[pixels[:, 1].long(), pixels[:, 0].long()] > 0).float().mean()) > 0.97


def test_the_same_command_goes_on(made: Path) -> None:
    lost = made / "chair" / "val_000000"
    before = (lost / "points.npz").read_bytes()
    (lost / "pointcloud.npz").unlink()
    (lost / "points.npz").write_bytes(b"cut short")
    kept = (made / "chair" / "test_000000" / "points.npz").stat().st_mtime_ns
    make_shapes("chair", SMALL, made)
    assert (lost / "points.npz").read_bytes() == before
    assert (made / "chair" / "test_000000" / "points.npz").stat().st_mtime_ns == kept


def test_shapes_of_other_settings_are_not_mixed_in(made: Path) -> None:
    with pytest.raises(ResectError, match="--out"):
        make_shapes("chair", replace(SMALL, seed=5), made)
    with pytest.raises(ResectError, match="chair"):
        make_shapes("chairs", SMALL, made)
    with pytest.raises(ResectError, match="side"):
        replace(SMALL, side=1)
