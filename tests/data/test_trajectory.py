from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.data.trajectory import TrajectoryFormat, read_trajectory, trajectory_format, write_trajectory
from resect.errors import ResectError
from resect.geometry.se3 import SE3
from resect.geometry.trajectory import Trajectory

EUROC = "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z []\n"
ROW = "1403715524907143168,0.5,1.9,0.9,0.161996,0.789985,-0.205376,0.554528,-0.002,-0.009\n"


def wander(count: int = 6) -> Trajectory:
    g = torch.Generator().manual_seed(3)
    poses = SE3.exp(0.5 * torch.randn(count, 6, generator=g, dtype=torch.float64))
    stamps = tuple(f"1305031110.{43299 + k * 100:06d}" for k in range(count))
    return Trajectory(torch.tensor([float(s) for s in stamps], dtype=torch.float64), poses, stamps)


@pytest.mark.parametrize("name", ["tum", "euroc", "kitti"])
def test_written_and_read_again(tmp_path: Path, name: TrajectoryFormat) -> None:
    path = tmp_path / "x.txt"
    write_trajectory(wander(), path, name)
    assert trajectory_format(path) == name
    again = read_trajectory(path)
    assert again.format == name
    assert f"format {name}" in again.notes[0]
    torch.testing.assert_close(again.world_from_cam.matrix(), wander().world_from_cam.matrix(), atol=1e-12, rtol=0)
    assert again.timed == (name != "kitti")
    if name == "kitti":
        assert again.seconds.tolist() == list(range(6))
    else:
        torch.testing.assert_close(again.seconds, wander().seconds, atol=1e-6, rtol=0)


def test_no_digit_of_a_time_stamp_is_lost_on_the_way_through_another_format(tmp_path: Path) -> None:
    write_trajectory(wander(), tmp_path / "a.csv", "euroc")
    assert "\n1305031110043299000," in (tmp_path / "a.csv").read_text()
    write_trajectory(read_trajectory(tmp_path / "a.csv"), tmp_path / "b.txt", "tum")
    assert float(read_trajectory(tmp_path / "b.txt").stamps[0]) == float(wander().stamps[0])
    assert read_trajectory(tmp_path / "b.txt").stamps[1] == "1305031110.043399"


def test_conventions_against_scipy(tmp_path: Path) -> None:
    """The same quaternion in both orders, and a matrix, are the same rotation."""
    x, y, z, w = Rotation.from_euler("xyz", [0.1, 0.7, -0.4]).as_quat()
    rows = {
        "tum": f"1 4 5 6 {x} {y} {z} {w}\n",
        "euroc": f"1000000000000000000,4,5,6,{w},{x},{y},{z}\n",
        "kitti": " ".join(
            f"{a} {b} {c} {t}"
            for (a, b, c), t in zip(Rotation.from_quat([x, y, z, w]).as_matrix().tolist(), (4, 5, 6), strict=True)
        ),
    }
    want = torch.from_numpy(Rotation.from_quat([x, y, z, w]).as_matrix())
    for name, text in rows.items():
        (tmp_path / name).write_text(text)
        found = read_trajectory(tmp_path / name)
        assert found.format == name
        torch.testing.assert_close(found.world_from_cam.R[0], want)
        assert found.positions.tolist() == [[4.0, 5.0, 6.0]]
    swapped = tmp_path / "swapped"
    swapped.write_text(f"1 4 5 6 {w} {x} {y} {z}\n")
    torch.testing.assert_close(read_trajectory(swapped, order="wxyz").world_from_cam.R[0], want)


def test_kitti_takes_times_from_a_file_of_their_own(tmp_path: Path) -> None:
    write_trajectory(wander(3), tmp_path / "poses.txt", "kitti")
    (tmp_path / "times.txt").write_text("0.0\n1.0e-1\n2.0e-1\n")
    found = read_trajectory(tmp_path / "poses.txt", times=tmp_path / "times.txt")
    assert (found.timed, found.seconds.tolist()) == (True, [0.0, 0.1, 0.2])
    (tmp_path / "times.txt").write_text("0.0\n0.1\n")
    with pytest.raises(ResectError, match="3 time stamps"):
        read_trajectory(tmp_path / "poses.txt", times=tmp_path / "times.txt")
    write_trajectory(wander(3), tmp_path / "tum.txt")
    with pytest.raises(ResectError, match="no times file"):
        read_trajectory(tmp_path / "tum.txt", times=tmp_path / "times.txt")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least one pose"),
        ("# only words\n", "at least one pose"),
        ("photo.png 1 2 3\n", "EuRoC"),
        ("1 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1\n", "got 1 twice.*sort -g"),
        ("2 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 1\n", "got 1 after 2.*sort -g"),
        ("1 0 0 nan 0 0 0 1\n", "finite"),
        ("1 0 0 0 0 0 0 1\n2 0 0 0 0 0 0 inf\n", ":2: .*finite"),
        ("1 0 0 0 0 0 0 1\n2 0 0 0 0 0 0 0\n", ":2: .*unit quaternion, got length 0"),
        ("1 0 0 0 0 0 0 1\n2 0 0 0 0 1\n", ":2: .*8 numbers, got 6"),
        ("# time tx ty tz qw qx qy qz\n1 0 0 0 1 0 0 0\n", "order xyzw, got a header that says wxyz"),
        (EUROC + ROW + ROW, "twice"),
        (EUROC + ROW + "1403715524957143040,0.5,1.9\n", "cut off"),
        (EUROC + ROW + "1.5e18,0,0,0,1,0,0,0\n", "cut off"),
        (EUROC.replace("q_RS_w [], q_RS_x []", "q_RS_x [], q_RS_w []") + ROW, None),
        ("1 0 0 0 0 1 0 0 0 0 -1 0\n", "determinant"),
        ("2 0 0 0 0 2 0 0 0 0 2 0\n", "a rotation times 2"),
        ("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0\n", ":2: .*12 numbers"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, said: str | None) -> None:
    path = tmp_path / "x.txt"
    path.write_text(text)
    if said is None:
        read_trajectory(path)
        return
    with pytest.raises(ResectError, match=said) as caught:
        read_trajectory(path)
    assert "x.txt" in caught.value.where


def test_what_is_no_trajectory(tmp_path: Path) -> None:
    assert trajectory_format(tmp_path) is None
    assert trajectory_format(tmp_path / "none") is None
    path = tmp_path / "poses.csv"
    path.write_text("# resect-poses 1 | cam_from_world\nphoto,target\n")
    assert trajectory_format(path) is None
    path.write_bytes(bytes(range(256)))
    assert trajectory_format(path) is None
    path.write_text("1 0 0 0 0 0 0 1\n")
    with pytest.raises(ResectError, match="one of euroc, kitti, tum"):
        read_trajectory(path, "tmu")  # type: ignore[arg-type]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    write_trajectory(wander(), tmp_path / "x.txt")
    with pytest.raises(ResectError, match="overwrite"):
        write_trajectory(wander(), tmp_path / "x.txt")
    write_trajectory(wander(3), tmp_path / "x.txt", overwrite=True)
    assert len(read_trajectory(tmp_path / "x.txt")) == 3
