import contextlib
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resect.errors import ResectError
from resect.evaluation.pose_file import COLUMNS, PoseRow, header, read_poses, rows_of, to_text, write_poses
from resect.geometry import so3
from resect.geometry.se3 import SE3
from resect.types import Estimate, Hypotheses, Status


def pose(seed: int = 0) -> SE3:
    g = torch.Generator().manual_seed(seed)
    return SE3(so3.random(1, generator=g, dtype=torch.float64)[0], torch.randn(3, generator=g, dtype=torch.float64))


def spd(seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(6, 6, generator=g, dtype=torch.float64)
    return a @ a.mT + torch.eye(6, dtype=torch.float64)


def write(tmp_path: Path, *lines: str, unit: str = "m") -> Path:
    path = tmp_path / "poses.csv"
    path.write_text(header(unit) + "\n".join(lines) + "\n")
    return path


def line(**changes: str) -> str:
    cells = dict.fromkeys(COLUMNS, "")
    numbers = {"qw": "1", "qx": "0", "qy": "0", "qz": "0", "tx": "1", "ty": "2", "tz": "3"}
    cells |= {"photo": "a.png", "mode": "0", "status": "OK", "oracle": "0", **numbers, **changes}
    return ",".join(cells.values())


def test_the_header_is_the_documented_one():
    first, second = header("m").splitlines()
    assert first == "# resect-poses 1 | cam_from_world | opencv camera | quaternion wxyz | unit m"
    start = "photo,target,mode,status,qw,qx,qy,qz,tx,ty,tz,log_weight,camera_source,oracle,seconds,c00,c01"
    assert second.startswith(start)
    assert second.endswith("c33,c34,c35,c44,c45,c55")
    assert len(second.split(",")) == 15 + 21


def test_round_trip_is_exact(tmp_path: Path):
    rows = (
        PoseRow('a,b "c".png', "AMBIGUOUS", pose(1), "", 0, -0.1, "exif", False, 0.25, spd(1)),
        PoseRow('a,b "c".png', "AMBIGUOUS", pose(2), "", 1, -math.inf, "exif", True, 0.25, None),
        PoseRow("d.png", "NO_AGREEMENT", None, "mug"),
        PoseRow("e.png", "UNREADABLE", None),
    )
    path = tmp_path / "poses.csv"
    write_poses(path, rows, "scene")
    found = read_poses(path)
    assert found.unit == "scene"
    assert (found.photos, found.failed) == (3, 2)
    for a, b in zip(rows, found.rows, strict=True):
        assert (a.photo, a.target, a.mode, a.status) == (b.photo, b.target, b.mode, b.status)
        assert (a.log_weight, a.oracle, a.seconds) == (b.log_weight, b.oracle, b.seconds)
        if a.cam_from_world is not None:
            assert torch.equal(a.cam_from_world.t, b.cam_from_world.t)
            torch.testing.assert_close(a.cam_from_world.R, b.cam_from_world.R, atol=5e-16, rtol=0)
        if a.covariance is not None:
            assert torch.equal(0.5 * (a.covariance + a.covariance.mT), b.covariance)
    write_poses(tmp_path / "again.csv", found.rows, "scene")
    assert read_poses(tmp_path / "again.csv").photos == 3


def test_nothing_is_overwritten_unless_asked(tmp_path: Path):
    path = tmp_path / "poses.csv"
    path.write_text("mine")
    with pytest.raises(ResectError, match="existing"):
        write_poses(path, (), "m")
    assert path.read_text() == "mine"
    write_poses(path, (), "m", overwrite=True)
    assert read_poses(path).rows == ()


def test_rows_of_an_estimate():
    poses = SE3.stack([pose(1), pose(2)])
    information = torch.stack([spd(3), torch.zeros(6, 6, dtype=torch.float64)])
    modes = Hypotheses(poses, torch.tensor([-0.1, -2.0]), information, source=("oracle:3", "oracle:3"))
    rows = rows_of("a.png", Estimate(Status.AMBIGUOUS, modes), seconds=0.5)
    assert [r.mode for r in rows] == [0, 1]
    assert all(r.oracle for r in rows)
    torch.testing.assert_close(rows[0].covariance, torch.linalg.inv(spd(3)))
    assert rows[1].covariance is None
    failed = rows_of("a.png", Estimate(Status.NO_AGREEMENT, modes))
    assert [(r.status, r.cam_from_world) for r in failed] == [("NO_AGREEMENT", None)]
    broken = SE3(poses.R, poses.t * math.nan)
    assert rows_of("a.png", Estimate(Status.OK, Hypotheses(broken, modes.log_weight)))[0].status == "NON_FINITE"


def test_files_of_others_may_stop_after_tz(tmp_path: Path):
    path = tmp_path / "p.csv"
    first = header("m").splitlines()[0]
    path.write_text(f"{first}\nphoto,target,mode,status,qw,qx,qy,qz,tx,ty,tz\na.png,,0,OK,1,0,0,0,1,2,3\n")
    (row,) = read_poses(path).rows
    assert row.cam_from_world.t.tolist() == [1.0, 2.0, 3.0]
    assert row.covariance is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qw": "nan"}, "line 3: qw: expected a finite number"),
        ({"tx": "inf"}, "line 3: tx"),
        ({"tx": "1.2.3"}, "line 3: tx: expected a number"),
        ({"tx": ""}, "all of qw…tz or none"),
        ({"qw": "0.5"}, "quaternion: expected length 1, got 0.5"),
        ({"status": "FINE"}, "expected one of"),
        ({"status": "NO_AGREEMENT"}, "expected no pose with status NO_AGREEMENT"),
        ({"mode": "1"}, "modes 0, 1"),
        ({"mode": "-1"}, "a mode number"),
        ({"oracle": "yes"}, "0 or 1 for oracle"),
        ({"photo": "../../etc/passwd"}, "a path inside the data folder"),
        ({"photo": "/etc/passwd"}, "a path inside the data folder"),
        ({"photo": "..\\\\x"}, "a path inside the data folder"),
        ({"photo": "C:\\\\x"}, "a path inside the data folder"),
        ({"photo": ""}, "a path inside the data folder"),
        ({"photo": "a\x07"}, "a path inside the data folder"),
        ({"seconds": "nan"}, "line 3: seconds"),
        ({"c00": "1"}, "all of c00…c55 or none"),
    ],
)
def test_hostile_cells_are_refused_by_line(tmp_path: Path, changes: dict[str, str], message: str):
    with pytest.raises(ResectError, match=message.replace("(", r"\(")):
        read_poses(write(tmp_path, line(**changes)))


def test_other_damage_is_refused(tmp_path: Path):
    with pytest.raises(ResectError, match="36 columns, got 4"):
        read_poses(write(tmp_path, "a.png,,0,OK"))
    with pytest.raises(ResectError, match="comma separated values"):
        read_poses(write(tmp_path, '"a.png,,0,OK'))
    with pytest.raises(ResectError, match="each once"):
        read_poses(write(tmp_path, line(), line()))
    upper = {f"c{i}{j}": "1" if i == j else "5" for i in range(6) for j in range(i, 6)}
    with pytest.raises(ResectError, match="positive semidefinite"):
        read_poses(write(tmp_path, line(**upper)))
    path = write(tmp_path, line())
    path.write_text(path.read_text().replace("wxyz", "xyzw"))
    with pytest.raises(ResectError, match="line 1"):
        read_poses(path)
    path.write_text(header("m").replace("seconds", "secunds"))
    with pytest.raises(ResectError, match="Did you mean 'seconds'"):
        read_poses(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResectError, match="UTF-8"):
        read_poses(path)
    with pytest.raises(ResectError, match="no file"):
        read_poses(tmp_path / "none.csv")


def test_a_giant_file_is_refused_before_it_is_read(tmp_path: Path):
    path = tmp_path / "giant.csv"
    with path.open("wb") as file:
        file.truncate(600 << 20)
    with pytest.raises(ResectError, match="at most 512 MiB"):
        read_poses(path)


def test_a_locked_direction_may_have_no_variance(tmp_path: Path):
    c = torch.zeros(6, 6, dtype=torch.float64)
    c[0, 0] = 2.0
    path = tmp_path / "p.csv"
    write_poses(path, (PoseRow("a.png", "OK", pose(), covariance=c),), "m")
    assert torch.equal(read_poses(path).rows[0].covariance, c)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_but_our_error(tmp_path_factory: pytest.TempPathFactory, junk: bytes):
    path = tmp_path_factory.mktemp("junk") / "p.csv"
    path.write_bytes(header("m").encode() + junk)
    with contextlib.suppress(ResectError):
        read_poses(path)


def test_names_that_leave_their_folder_are_not_written_either():
    with pytest.raises(ResectError, match="inside the data folder"):
        to_text((PoseRow("../x.png", "NO_HYPOTHESIS", None),))
