from pathlib import Path

import numpy as np
import pytest
import torch
from captures import ring, write_noise
from PIL import Image
from scipy.spatial.transform import Rotation

from resect.data import read
from resect.data.epipolar import find_features, match, sampson_error
from resect.data.trajectory import read_trajectory
from resect.data.tum import write_tum
from resect.errors import ResectError
from resect.geometry.look_at import look_at


def _rows(count: int, order: str = "xyzw", noise: float = 0.2) -> tuple[list[str], torch.Tensor]:
    """Cameras on a circle that look inwards, upright."""
    angle = torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count)
    height = 1 + noise * (3 * angle).sin()
    centers = torch.stack([2 * angle.cos(), 2 * angle.sin(), height], -1)
    poses = look_at(centers, torch.zeros(count, 3, dtype=torch.float64)).inverse()
    q = Rotation.from_matrix(poses.R.numpy()).as_quat(scalar_first=order == "wxyz")
    rows = [
        " ".join(str(v) for v in (f"{10 + i / 30:.4f}", *poses.t[i].tolist(), *q[i].tolist())) for i in range(count)
    ]
    return rows, poses.matrix()


def _official(root: Path, rows: list[str]) -> None:
    names = [f"{10 + i / 30 + 0.004:.4f}" for i in range(len(rows))]
    for name in names:
        write_noise(root / "rgb" / f"{name}.png", 64, 48)
    (root / "rgb.txt").write_text("# time file\n" + "\n".join(f"{n} rgb/{n}.png" for n in names) + "\n99.0 rgb/x.png\n")
    (root / "groundtruth.txt").write_text("# truth\n" + "\n".join(rows) + "\n")


def test_official_layout(tmp_path: Path) -> None:
    root = tmp_path / "rgbd_dataset_freiburg3_x"
    rows, world_from_cam = _rows(8)
    _official(root, rows)
    (root / "depth").mkdir()
    Image.fromarray(np.full((48, 64), 10000, np.uint16)).save(root / "depth" / "a.png")
    (root / "depth.txt").write_text("10.01 depth/a.png\n")
    photos = read(root)
    assert (photos.format, len(photos)) == ("tum", 8)
    assert photos.world.meters_per_unit == 1
    assert "1 of 9 photos have no pose" in " ".join(photos.notes)
    assert not any("swapped" in n for n in photos.notes)
    np.testing.assert_allclose(photos.truth.cam_from_world.inverse().matrix(), world_from_cam, atol=1e-9)
    camera = photos.cameras[0].rescale(640, 480)
    assert (camera.fx, camera.cx, camera.cy) == pytest.approx((535.4, 320.6, 248.1))
    depth = photos[0].depth
    assert depth is not None
    assert torch.allclose(depth, torch.tensor(2.0))
    assert photos[1].depth is None


def test_swapped_quaternions_are_said(tmp_path: Path) -> None:
    _official(tmp_path, _rows(16, order="wxyz")[0])
    assert any("look swapped" in note and "wxyz" in note for note in read(tmp_path).notes)


def test_loose_layout_joins_by_order(tmp_path: Path) -> None:
    rows, world_from_cam = _rows(5)
    for i in range(5):
        write_noise(tmp_path / "raw_imgs" / f"{i:04d}.png", 64, 48)
    (tmp_path / "truth_cam_poses.txt").write_text("\n".join(rows))
    photos = read(tmp_path)
    np.testing.assert_allclose(photos.truth.cam_from_world.inverse().matrix(), world_from_cam, atol=1e-9)
    (tmp_path / "raw_imgs" / "0003.png").unlink()
    with pytest.raises(ResectError, match="4 rows"):
        read(tmp_path)


def test_round_trip(tmp_path: Path) -> None:
    photos = ring(6, tmp_path)
    write_tum(photos, tmp_path / "trajectory.txt")
    again = read_trajectory(tmp_path / "trajectory.txt").world_from_cam.inverse()
    np.testing.assert_allclose(again.matrix(), photos.truth.cam_from_world.matrix(), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 0 0 0 0 0 0\n", "8 numbers"),
        ("1 0 0 0 0 0 0 0.5\n", "unit quaternion"),
        ("1 0 0 0 0 0 0 nan\n", "finite"),
        ("2 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1\n", "increasing"),
        ("# nothing\n", "at least one"),
    ],
)
def test_bad_trajectories_are_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "groundtruth.txt").write_text(text)
    with pytest.raises(ResectError, match=said) as caught:
        read_trajectory(tmp_path / "groundtruth.txt")
    assert "groundtruth.txt" in str(caught.value)


@pytest.mark.real
def test_cabinet_rows_belong_to_the_photos_in_order(real: Path) -> None:
    """The photos show little texture, but joining the rows one photo off is many times worse."""
    photos = read(real / "tum_fr3_cabinet")
    assert len(photos) == 58
    features = {i: find_features(photos[i]) for i in range(12, 30)}
    poses = photos.truth.cam_from_world

    def median(shift: int) -> float:
        errors = [
            sampson_error(
                *match(features[i], features[i + 1]),
                photos.cameras[i],
                photos.cameras[i + 1],
                poses[i + 1 + shift] @ poses[i + shift].inverse(),
            )
            for i in range(12, 29)
        ]
        return float(torch.cat(errors).median())

    assert median(0) < 3.5
    assert median(1) > 4 * median(0)
    assert median(-1) > 4 * median(0)
    assert -poses.R[:, 1].mean(0)[2] > 0.7
