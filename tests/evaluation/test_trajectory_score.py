import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from resect.data.trajectory import read_trajectory
from resect.errors import ResectError
from resect.evaluation.trajectory_report import write_trajectory_report
from resect.evaluation.trajectory_score import TrajectorySettings, score_trajectory
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.geometry.sim3 import Sim3
from resect.geometry.trajectory import Trajectory


def path(count: int = 30, seed: int = 0, step: float = 0.1) -> Trajectory:
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(count, dtype=torch.float64) * step
    omega = torch.stack([0.5 * t.sin(), 1.5 * t.cos(), t], -1)
    wobble = 0.02 * torch.randn(count, 3, generator=g, dtype=torch.float64)
    poses = SE3(so3.exp(omega), torch.stack([t.cos(), t.sin(), 0.3 * t], -1) + wobble)
    return Trajectory(t, poses, tuple(f"{s:.3f}" for s in t.tolist()))


def known_motion(scale: float) -> Sim3:
    turn = torch.from_numpy(Rotation.from_rotvec([0.5, 1.0, -2.0]).as_matrix())
    return Sim3(torch.tensor(scale).double(), turn, torch.tensor([3.0, -1.0, 2.0]).double())


def test_a_moved_truth_has_no_error_once_aligned() -> None:
    truth = path()
    score = score_trajectory(truth.moved(known_motion(0.5)), truth, TrajectorySettings(align="sim3"))
    facts = score.as_json()
    assert facts["ate_rmse"] < 1e-12
    assert facts["rpe_rmse"] < 1e-12
    assert facts["rpe_rotation_rmse_deg"] < 1e-5
    assert facts["scale"] == pytest.approx(2.0)
    assert facts["matched"] == facts["poses"] == 30
    se3 = score_trajectory(truth.moved(known_motion(0.5)), truth, TrajectorySettings(align="se3", scale=2.0)).as_json()
    assert se3["ate_rmse"] < 1e-12
    assert se3["scale"] == 2.0
    none = score_trajectory(truth.moved(known_motion(1.0)), truth, TrajectorySettings(align="none"))
    assert none.as_json()["ate_rmse"] > 1
    assert none.as_json()["rpe_rmse"] < 1e-12


def test_time_offset_and_difference() -> None:
    truth = path()
    late = replace(truth, seconds=truth.seconds + 5.0)
    with pytest.raises(ResectError, match="--offset"):
        score_trajectory(late, truth)
    assert score_trajectory(late, truth, TrajectorySettings(offset=-5.0)).as_json()["ate_rmse"] < 1e-12
    some = late.take(torch.arange(0, 30, 3))
    shifted = score_trajectory(some, truth, TrajectorySettings(offset=-4.99, max_difference=0.02))
    assert (shifted.rows.tolist(), shifted.partners.tolist()) == (list(range(10)), list(range(0, 30, 3)))


def test_rows_without_times_are_paired_by_number() -> None:
    truth = replace(path(), stamps=(), format="kitti")
    assert score_trajectory(truth, truth).as_json()["ate_rmse"] < 1e-12
    with pytest.raises(ResectError, match="as many rows"):
        score_trajectory(truth.take(torch.arange(5)), truth)
    with pytest.raises(ResectError, match="the estimate has no time stamps"):
        score_trajectory(truth.take(torch.arange(5)), path())


def test_swapped_quaternions_are_refused_and_another_convention_is_not() -> None:
    truth = path()
    swapped = so3.from_quaternion(so3.to_quaternion(truth.world_from_cam.R).roll(1, -1))
    with pytest.raises(ResectError, match="--order wxyz"):
        score_trajectory(replace(truth, world_from_cam=SE3(swapped, truth.positions)), truth)
    turn = torch.from_numpy(Rotation.from_rotvec([0, np.pi / 2, 0]).as_matrix())
    other = replace(truth, world_from_cam=SE3(truth.world_from_cam.R @ turn, truth.positions))
    assert score_trajectory(other, truth).as_json()["ate_rmse"] < 1e-12


def test_no_pair_is_far_enough_apart() -> None:
    facts = score_trajectory(path(), path(), TrajectorySettings(delta=99.0, delta_unit="s")).as_json()
    assert facts["rpe_rmse"] is None
    assert any("no relative error" in n for n in facts["notes"])


@pytest.mark.parametrize("field", [{"scale": 0.0}, {"max_difference": -1.0}, {"max_pairs": -1}, {"delta": 0.0}])
def test_settings_are_checked(field: dict[str, float]) -> None:
    with pytest.raises(ResectError, match="--"):
        score_trajectory(path(), path(), replace(TrajectorySettings(), **field))


def test_report_of_several(tmp_path: Path) -> None:
    truth = path()
    scores = {name: score_trajectory(path(seed=k), truth) for k, name in enumerate(("a/b", "<c>"), start=1)}
    page = write_trajectory_report(tmp_path / "r", scores).read_text()
    assert "&lt;c&gt;" in page
    assert "<c>" not in page
    assert "NaN" not in page.upper().replace("NAN", "NaN")
    assert len(re.findall("<svg", page)) == 2 + 2 * 3
    with pytest.raises(ResectError, match="without a report"):
        write_trajectory_report(tmp_path / "r", scores)
    again = read_trajectory(tmp_path / "r" / "0-a_b-aligned.txt")
    torch.testing.assert_close(again.positions, scores["a/b"].aligned.positions)
    rows = np.loadtxt(tmp_path / "r" / "0-a_b-absolute.csv", delimiter=",", skiprows=1)
    assert np.sqrt((rows[:, 8] ** 2).mean()) == pytest.approx(scores["a/b"].ate.rmse)
    np.testing.assert_allclose(np.linalg.norm(rows[:, 1:4] - rows[:, 5:8], axis=1), rows[:, 8])


@pytest.mark.real
@pytest.mark.parametrize(
    ("estimate", "truth", "align", "ate", "scale", "matched"),
    [
        ("object_centric/single_chair_results/orb_quat.txt", "gt_quat.txt", "se3", 0.0999, 1.0, 280),
        ("object_centric/single_chair_results/rrb_quat.txt", "gt_quat.txt", "se3", 0.0381, 1.0, 294),
        ("evo/freiburg1_xyz-ORB_kf_mono.txt", "freiburg1_xyz-groundtruth.txt", "sim3", 0.0098, 1.1056, 32),
    ],
)
def test_published_numbers(
    real: Path, estimate: str, truth: str, align: str, ate: float, scale: float, matched: int
) -> None:
    file = real / "trajectories" / estimate
    settings = TrajectorySettings(align=align)  # type: ignore[arg-type]
    score = score_trajectory(read_trajectory(file), read_trajectory(file.parent / truth), settings).as_json()
    assert score["ate_rmse"] == pytest.approx(ate, abs=5e-5)
    assert score["scale"] == pytest.approx(scale, abs=5e-5)
    assert score["matched"] == matched


@pytest.mark.real
def test_a_public_tool_says_the_same(real: Path) -> None:
    """evo 1.38.1: ATE, then RPE of translation and rotation (deg), then RPE over 0.3 m with 10 % tolerance."""
    folder = real / "trajectories" / "evo"
    estimate, truth = (read_trajectory(folder / f"freiburg1_xyz-{n}.txt") for n in ("rgbdslam_drift", "groundtruth"))
    frames = score_trajectory(estimate, truth).as_json()
    assert frames["ate"] == pytest.approx(
        {"rmse": 0.013473498, "mean": 0.012029494, "median": 0.011175682, "std": 0.006068478,
         "min": 0.000939178, "max": 0.034727551, "count": 786}, abs=1e-8)  # fmt: skip
    assert (frames["rpe"]["rmse"], frames["rpe_rotation_deg"]["rmse"]) == pytest.approx(
        (0.005759255, 0.352827786), abs=1e-8
    )
    meters = TrajectorySettings(delta=0.3, delta_unit="m", delta_tolerance=0.1)
    score = score_trajectory(estimate, truth, meters).as_json()
    assert score["rpe"]["count"] == 712
    assert (score["rpe_rmse"], score["rpe_rotation_rmse_deg"]) == pytest.approx((0.020647555, 0.936090705), abs=1e-8)
