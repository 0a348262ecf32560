from pathlib import Path

import pytest
import torch
from shell import resect

from resect.data.trajectory import read_trajectory, write_trajectory
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.geometry.trajectory import Trajectory


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """An estimate in another world and half as large, and the truth."""
    t = torch.arange(20, dtype=torch.float64)
    poses = SE3(
        so3.exp(torch.stack([t.cos(), 0.3 * t.sin(), 0.1 * t], -1)), torch.stack([t.cos(), t.sin(), 0.1 * t], -1)
    )
    truth = Trajectory(t, poses, tuple(str(k) for k in range(20)))
    half = Trajectory(t[3:], SE3(poses.R, 0.5 * poses.t + 1)[3:], truth.stamps[3:])
    write_trajectory(truth, tmp_path / "truth.txt")
    write_trajectory(half, tmp_path / "half.txt")
    return tmp_path / "half.txt", tmp_path / "truth.txt"


def test_score_of_two_trajectories(files: tuple[Path, Path], tmp_path: Path) -> None:
    said = resect(
        "score", *files, "--align", "sim3", "--json", "--report", tmp_path / "r", "--save", tmp_path / "a.txt"
    )
    assert said.code == 0, said.err
    assert said.json["ate_rmse"] < 1e-9
    assert said.json["scale"] == pytest.approx(2)
    assert said.json["matched"] == 17
    assert (tmp_path / "r" / "report.html").is_file()
    torch.testing.assert_close(read_trajectory(tmp_path / "a.txt").positions, read_trajectory(files[1]).positions[3:])
    assert "without a report" in resect("score", *files, "--report", tmp_path / "r").err
    assert resect("score", *files, "--align", "none", "--delta", "2", "--delta-unit", "s").code == 0
    astray = resect("score", files[0], tmp_path / "astray.txt", "--align", "sim3")
    assert (astray.code, "astray.txt: expected" in astray.err, "nrecognized" in astray.err) == (2, True, False)
    late = resect("score", *files, "--offset", "100")
    assert late.code == 2
    assert "clock" in late.err


def test_rows_that_could_be_a_path_are_scored_as_single_photos(files: tuple[Path, Path], tmp_path: Path) -> None:
    truth, estimate = tmp_path / "truth.kitti", tmp_path / "estimate.kitti"
    poses = read_trajectory(files[1])
    write_trajectory(poses, truth, "kitti")
    apart = torch.linspace(0, 0.195, 20, dtype=torch.float64)  # a path's alignment would take most of it away
    moved = SE3(poses.world_from_cam.R, poses.positions + apart[:, None] * poses.positions.new_tensor([1, 0, 0]))
    write_trajectory(Trajectory(poses.seconds, moved, poses.stamps), estimate, "kitti")
    assert "ate_rmse" in resect("score", estimate, truth, "--json").json
    said = resect("score", estimate, truth, "--single", "--json")
    assert (said.code, said.json["photos"]) == (0, 20), said.err
    assert said.json["median_translation"] == pytest.approx(0.0975, abs=1e-6)
    assert said.json["recall"]["5deg_5cm"] == pytest.approx(0.25)
    assert "--single" in resect("score", estimate, truth, "--help").out


def test_compare_and_convert(files: tuple[Path, Path], tmp_path: Path) -> None:
    said = resect("compare", *files, "--truth", files[1], "--align", "sim3", "--json", "--out", tmp_path / "c")
    assert said.code == 0, said.err
    assert max(facts["ate_rmse"] for facts in said.json.values()) < 1e-9
    assert (tmp_path / "c" / "report.html").is_file()
    assert resect("data", "convert", files[0], "--to", "euroc", "--out", tmp_path / "x.csv").code == 0
    assert resect("score", tmp_path / "x.csv", files[0], "--align", "none", "--json").json["ate_rmse"] < 1e-9
    assert "tum, kitti or euroc" in resect("data", "convert", files[0], "--out", tmp_path / "y").err
