from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bop_folder import box_points
from captures import write_noise
from PIL import Image
from scipy.io import savemat

from resect.data import read
from resect.data.objects import read_objects
from resect.errors import ResectError

META = {
    "poses": np.stack([np.hstack([np.eye(3), [[0.1 * k], [0.0], [1.0]]]) for k in range(2)], -1),
    "cls_indexes": np.array([[2], [1]], np.uint8),
    "intrinsic_matrix": np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]),
    "factor_depth": np.array([[10000]], np.uint16),
}


def _write(root: Path, **changed: Any) -> Path:
    data = root / "data"
    write_noise(data / "000001-color.png", 64, 48)
    savemat(data / "000001-meta.mat", {**META, **changed})
    label = np.zeros((48, 64), np.uint8)
    label[10:20, 30:50] = 2
    Image.fromarray(label).save(data / "000001-label.png")
    Image.fromarray(np.full((48, 64), 12000, np.uint16)).save(data / "000001-depth.png")
    for name in ("001_can", "002_box"):
        (root / "models" / name).mkdir(parents=True, exist_ok=True)
        np.savetxt(root / "models" / name / "points.xyz", box_points((0.1, 0.2, 0.2)).numpy())
    return root


def test_what_a_frame_holds(tmp_path: Path) -> None:
    objects = read_objects(_write(tmp_path))
    assert list(objects) == ["001_can", "002_box"]
    box = objects["002_box"]
    photo = box.photos[0]
    assert photo.camera is not None
    assert (photo.camera.cx, photo.camera.cy) == (32.5, 24.5)
    assert photo.depth is not None
    assert float(photo.depth.max()) == pytest.approx(1.2)
    assert photo.target is not None
    assert photo.target.box == (30, 10, 50, 20)
    assert box.diameter == pytest.approx(0.3)
    assert box.photos.world.meters_per_unit == 1
    assert box.photos.truth.cam_from_world.t.tolist() == [[0, 0, 1]]
    other = objects["001_can"].photos[0]
    assert other.image is photo.image
    assert other.target is not None
    assert other.target.mask is None
    assert len(read(tmp_path)) == 2


def test_without_models_classes_are_numbers(tmp_path: Path) -> None:
    _write(tmp_path)
    objects = read_objects(tmp_path / "data")
    assert list(objects) == ["001_can", "002_box"]  # the models lie beside the frames
    (tmp_path / "models").rename(tmp_path / "others")
    assert list(read_objects(tmp_path)) == ["1", "2"]
    assert read_objects(tmp_path)["1"].load_mesh is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"poses": np.zeros((3, 3, 2))}, "poses"),
        ({"poses": np.zeros((3, 4, 2))}, "a rotation"),
        ({"poses": META["poses"][..., :1]}, "2 poses"),
        ({"cls_indexes": "cup"}, "cls_indexes"),
        ({"intrinsic_matrix": np.full((3, 3), np.nan)}, "finite"),
        ({"factor_depth": np.array([[0.0]])}, "positive"),
    ],
)
def test_bad_meta_files_are_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ResectError, match=said):
        read_objects(_write(tmp_path, **changed))


def test_junk(tmp_path: Path) -> None:
    _write(tmp_path)
    for junk in (b"", b"MATLAB 5.0", bytes(range(256)) * 4):
        (tmp_path / "data/000001-meta.mat").write_bytes(junk)
        with pytest.raises(ResectError, match="MATLAB"):
            read_objects(tmp_path)
    _write(tmp_path)
    (tmp_path / "models/001_can/points.xyz").write_text("1 2 three\n")
    with pytest.raises(ResectError, match="three"):
        read_objects(tmp_path)


@pytest.mark.real
def test_models_project_into_their_labels(real: Path) -> None:
    if not (real / "ycbv_sample").is_dir():
        pytest.skip("no ycbv_sample")
    objects = read_objects(real / "ycbv_sample")
    assert len(objects) == 7
    for name in ("009_gelatin_box", "002_master_chef_can"):
        photo, found = objects[name].photos[0], objects[name]
        assert found.load_mesh is not None
        assert photo.camera is not None
        points = found.photos.truth.cam_from_world[0].apply(found.load_mesh().vertices.double())
        pixels, _ = photo.camera.project(points)
        assert photo.target is not None
        corners = torch.cat([pixels.amin(0), pixels.amax(0)])
        assert corners.tolist() == pytest.approx(photo.target.box, abs=4)
