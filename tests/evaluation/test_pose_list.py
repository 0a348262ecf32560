from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.errors import ResectError
from resect.evaluation.pose_file import PoseList, read_poses
from resect.geometry import so3
from resect.geometry.se3 import SE3


@pytest.fixture
def world_from_cam() -> SE3:
    g = torch.Generator().manual_seed(1)
    return SE3(so3.random(4, generator=g, dtype=torch.float64), torch.randn(4, 3, generator=g, dtype=torch.float64))


def check(found: PoseList, world_from_cam: SE3, names: list[str], kind: str) -> None:
    assert found.format == kind
    assert [r.photo for r in found.rows] == names
    poses = SE3.stack([r.cam_from_world for r in found.rows if r.cam_from_world is not None])
    torch.testing.assert_close(poses.center, world_from_cam.t, atol=1e-9, rtol=0)
    torch.testing.assert_close(poses.R, world_from_cam.R.mT, atol=1e-9, rtol=0)
    assert len(found.notes) == 1


def quaternions(rotation: torch.Tensor) -> list[list[float]]:
    """wxyz, by SciPy."""
    xyzw = Rotation.from_matrix(rotation.numpy()).as_quat()
    return [[q[3], q[0], q[1], q[2]] for q in xyzw.tolist()]


@pytest.mark.parametrize("extra", ["", " 525.0", " 0.3 0.001", " 0.3 0.001 120"])
@pytest.mark.parametrize("separator", [" ", ","])
def test_lists_are_camera_from_world(tmp_path: Path, world_from_cam: SE3, extra: str, separator: str):
    cam = world_from_cam.inverse()
    rows = [[*q, *t] for q, t in zip(quaternions(cam.R), cam.t.tolist(), strict=True)]
    names = [f"seq-01/frame-{i:06d}.color.png" for i in range(4)]
    lines = [
        (n + " " + " ".join(map(repr, r)) + extra).replace(" ", separator) for n, r in zip(names, rows, strict=True)
    ]
    (tmp_path / "l.txt").write_text("# a comment\n\n" + "\n".join(lines) + "\n")
    check(read_poses(tmp_path / "l.txt"), world_from_cam, names, "list")


def test_trajectories_are_world_from_camera_with_the_scalar_last(tmp_path: Path, world_from_cam: SE3):
    xyzw = Rotation.from_matrix(world_from_cam.R.numpy()).as_quat().tolist()
    lines = [
        f"{i}.5 " + " ".join(map(repr, [*t, *q]))
        for i, (t, q) in enumerate(zip(world_from_cam.t.tolist(), xyzw, strict=True))
    ]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    check(read_poses(tmp_path / "t.txt"), world_from_cam, [f"{i}.5" for i in range(4)], "tum")


def test_a_list_whose_names_are_numbers_is_told_from_a_trajectory(tmp_path: Path, world_from_cam: SE3):
    cam = world_from_cam.inverse()
    rows = [[*q, *(5 + t for t in ts)] for q, ts in zip(quaternions(cam.R), cam.t.tolist(), strict=True)]
    (tmp_path / "l.txt").write_text("\n".join(f"{i} " + " ".join(map(repr, r)) for i, r in enumerate(rows)))
    assert read_poses(tmp_path / "l.txt").format == "list"


def test_matrices(tmp_path: Path, world_from_cam: SE3):
    rows = world_from_cam.matrix()
    (tmp_path / "k.txt").write_text("\n".join(" ".join(map(repr, m[:3].flatten().tolist())) for m in rows))
    check(read_poses(tmp_path / "k.txt"), world_from_cam, [f"{i:06d}" for i in range(4)], "kitti")
    folder = tmp_path / "frames"
    folder.mkdir()
    for i, m in enumerate(rows):
        (folder / f"frame-{i}.pose.txt").write_text("\n".join("\t".join(map(repr, r)) for r in m.tolist()))
    check(read_poses(folder), world_from_cam, [f"frame-{i}" for i in range(4)], "matrices")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "between 1 and"),
        ("a.png 1 0 0 0 1 2 3\nb.png 1 0 0 0 1 2\n", "line 2: expected 8 columns"),
        ("a.png 1 0 0 0 nan 2 3\n", "l.txt:1: expected a finite number"),
        ("a.png 1 0 0 zero 1 2 3\n", "l.txt:1: expected a number"),
        ("a.png 1 2 3 1 0 0 0\n", "l.txt:1: expected a unit quaternion"),
        ("0.5 1 2 3 4 5 6 7\n", "quaternion: expected length 1"),
        ("a.png 1 0 0 0 1 2 3\na.png 1 0 0 0 1 2 3\n", "twice"),
        ("../../etc/passwd 1 0 0 0 1 2 3\n", "inside the data folder"),
        ("2 0 0 0 0 2 0 0 0 0 2 0\n", "a rotation matrix"),
        ("1 0 0 0 0 1 0 0 0 0 -1 0\n", "a rotation matrix"),
        ("1 2 3\n", "expected 'file qw qx qy qz tx ty tz'"),
    ],
)
def test_hostile_lists_are_refused_by_line(tmp_path: Path, text: str, message: str):
    (tmp_path / "l.txt").write_text(text)
    with pytest.raises(ResectError, match=message):
        read_poses(tmp_path / "l.txt")


def test_hostile_folders_are_refused(tmp_path: Path):
    with pytest.raises(ResectError, match="without them"):
        read_poses(tmp_path)
    (tmp_path / "a.pose.txt").write_text("1 0 0 0\n" * 3)
    with pytest.raises(ResectError, match="sixteen numbers, got 12"):
        read_poses(tmp_path)
    (tmp_path / "a.pose.txt").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 1 1\n")
    with pytest.raises(ResectError, match="last row"):
        read_poses(tmp_path)


@pytest.mark.real
def test_real_lists_are_recognised(real: Path):
    published = real / "reloc_poses" / "visloc_pgt"
    found = read_poses(published / "estimates/sfm/7scenes/chess_hloc.txt")
    assert (found.format, len(found.rows)) == ("list", 2000)
    assert read_poses(real / "tum_fr3_cabinet/truth_cam_poses.txt").format == "tum"
    assert len(read_poses(real / "7scenes_redkitchen_seq01").rows) == 160
