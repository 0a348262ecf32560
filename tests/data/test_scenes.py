"""Label lists of scenes, Cambridge Landmarks, several places at once."""

import os
from pathlib import Path

import pytest
import torch
from captures import write_noise
from scipy.spatial.transform import Rotation

from resect.data import make_split, read
from resect.data.pose_list import read_pose_list
from resect.data.scene_csv import COLUMNS, read_scene_csv, rotation_direction, write_scene_csv
from resect.data.scenes import read_scenes
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.errors import ResectError
from resect.geometry.look_at import look_at
from resect.geometry.se3 import SE3

HEADER = ",".join(COLUMNS)


def ring(count: int, seed: int = 0) -> SE3:
    """Upright cameras at eye height that look about a common place."""
    g = torch.Generator().manual_seed(seed)
    angle = torch.rand(count, generator=g, dtype=torch.float64) * 3
    centers = torch.stack([3 * angle.cos(), 3 * angle.sin(), 1 + 0.2 * angle.sin()], -1)
    return look_at(centers, 0.3 * torch.randn(count, 3, generator=g, dtype=torch.float64))


def wxyz(rotation: torch.Tensor) -> list[float]:
    x, y, z, w = Rotation.from_matrix(rotation.numpy()).as_quat().tolist()
    return [w, x, y, z]


def row(scene: str, split: str, name: str, pose: SE3, inverse: bool) -> str:
    q = wxyz(pose.R.mT if inverse else pose.R)
    return ",".join([scene, split, "seq1", name, *map(repr, pose.center.tolist() + q)])


def seven(root: Path, scene: str, poses: SE3) -> list[str]:
    rows = []
    for i in range(len(poses)):
        name = f"seq-01/frame-{i:06d}.color.png"
        write_noise(root / scene / name, 64, 48)
        rows.append(row(scene, "test" if i == 0 else "train", f"{scene}/{name}", poses[i], inverse=True))
    return rows


def cambridge(root: Path, scene: str, poses: SE3, inverse: bool = False) -> list[str]:
    rows, listed = [], {"train": list[str](), "test": list[str]()}
    for i in range(len(poses)):
        name, split = f"seq1/frame{i:05d}.png", "test" if i == 0 else "train"
        write_noise(root / scene / name, 96, 54)
        rows.append(row(scene, split, f"{scene}/{name}", poses[i], inverse=False))
        values = poses[i].center.tolist() + wxyz(poses[i].R.mT if inverse else poses[i].R)
        listed[split].append(" ".join([name, *map(repr, values)]))
    for split, lines in listed.items():
        head = "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
        (root / scene / f"dataset_{split}.txt").write_text(head + "\n".join(lines) + "\n")
    return rows


def write_list(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def same(found: SE3, expected: SE3) -> None:
    torch.testing.assert_close(found.matrix(), expected.matrix(), atol=1e-9, rtol=0)


@pytest.mark.parametrize("inverse", [False, True])
def test_the_direction_of_quaternions_is_found_out(tmp_path: Path, inverse: bool) -> None:
    poses = ring(12)
    path = write_list(tmp_path / "l.csv", [row("a", "", f"{i}.png", poses[i], inverse) for i in range(12)])
    rows, notes = read_scene_csv(path)
    same(SE3.stack([r.cam_from_world for r in rows]), poses)
    assert ("world_from_cam" if inverse else "cam_from_world") in notes[0]


@pytest.mark.parametrize("name", ["chess_test", "chess_train", "heads_test"])
def test_the_direction_of_published_poses_is_found_out(name: str) -> None:
    data = os.environ.get("RESECT_TEST_DATA")
    if not data or not (Path(data) / "reloc_poses").is_dir():
        pytest.skip("RESECT_TEST_DATA with reloc_poses is not there")
    listed = read_pose_list(Path(data) / f"reloc_poses/visloc_pgt/pgt/sfm/7scenes/{name}.txt")[::10]
    poses = SE3.stack([p.cam_from_world for p in listed])
    assert rotation_direction(poses.center, poses.R, [name] * len(poses))[0] == "cam_from_world"
    assert rotation_direction(poses.center, poses.R.mT, [name] * len(poses))[0] == "world_from_cam"


def test_a_list_that_does_not_tell_is_said_so(tmp_path: Path) -> None:
    poses = ring(2)
    path = write_list(tmp_path / "l.csv", [row("a", "", f"{i}.png", poses[i], True) for i in range(2)])
    assert "cannot be told" in read_scene_csv(path)[1][0]
    rows, notes = read_scene_csv(path, "world_from_cam")
    same(SE3.stack([r.cam_from_world for r in rows]), poses)
    assert notes == []


def test_a_folder_takes_its_rows_of_a_list(tmp_path: Path) -> None:
    a, b = ring(4), ring(5, seed=1)
    path = write_list(tmp_path / "all.csv", seven(tmp_path, "alpha", a) + seven(tmp_path, "beta", b))
    photos = read(tmp_path / "beta", poses=path)
    same(photos.truth.cam_from_world, b)
    assert make_split(photos).test == (0,)
    with pytest.raises(ResectError, match="alpha, beta"):
        read(path)
    (tmp_path / "beta").rename(tmp_path / "gamma")
    same(read(write_list(tmp_path / "one.csv", seven(tmp_path, "alpha", a))).truth.cam_from_world, a)
    with pytest.raises(ResectError, match="alpha, beta"):
        read(tmp_path / "gamma", poses=path)


def test_cambridge_reads_alike_from_its_own_lists_and_from_labels(tmp_path: Path) -> None:
    poses = ring(6)
    path = write_list(tmp_path / "labels.csv", cambridge(tmp_path, "Hall", poses))
    nvm = ["NVM_V3", "", "2", "seq1/frame00000.jpg 80.5 1 0 0 0 0 0 0 0 0", "seq1/frame00001.jpg 81 1 0 0 0 0 0 0 0 0"]
    (tmp_path / "Hall" / "reconstruction.nvm").write_text("\n".join(nvm))
    for photos in (read(tmp_path / "Hall"), read(tmp_path / "Hall", poses=path)):
        assert photos.format == "cambridge"
        same(photos.truth.cam_from_world, poses)
        assert make_split(photos).test == (0,)
        assert [c.fx for c in photos.cameras[:3]] == pytest.approx([80.5, 81.0, 744 * 54 / 480])
        assert (photos.cameras[0].cx, photos.cameras[0].cy) == (48, 27)
        assert "4 photos" in " ".join(photos.notes)


@pytest.mark.parametrize("inverse", [False, True])
def test_cambridges_own_lists_may_go_the_other_way(tmp_path: Path, inverse: bool) -> None:
    cambridge(tmp_path, "Hall", ring(12), inverse)
    photos = read(tmp_path / "Hall")
    same(
        SE3.stack([photos.truth.cam_from_world[photos.names.index(f"seq1/frame{i:05d}.png")] for i in range(12)]),
        ring(12),
    )
    assert ("world_from_cam" in " ".join(photos.notes)) == inverse


@pytest.mark.parametrize("short", ["seq1/frame00000.png 1 2 3 1 0 0", "seq1/frame00000.png", "a.png 1 x 3 1 0 0 0"])
def test_a_cut_first_row_is_no_heading(tmp_path: Path, short: str) -> None:
    cambridge(tmp_path, "Hall", ring(6))
    path = tmp_path / "Hall" / "dataset_test.txt"
    path.write_text("\n".join([*path.read_text().splitlines()[:3], short]) + "\n")
    with pytest.raises(ResectError, match=r"dataset_test\.txt:4"):
        read(tmp_path / "Hall")


def test_a_list_leaves_cameras_and_units_of_any_format(tmp_path: Path) -> None:
    make_capture(SyntheticSettings(photos=9, width=64, height=48, path="orbit"), tmp_path / "room")
    photos = read(tmp_path / "room")
    count = write_scene_csv({"room": (photos, make_split(photos, "every:3"))}, tmp_path / "few.csv", fraction=0.5)
    for found in (read(tmp_path / "room", poses=tmp_path / "few.csv"), read(tmp_path / "few.csv")):
        assert len(found) == count == 6
        assert (found.format, found.world.meters_per_unit) == (photos.format, photos.world.meters_per_unit)
        order = [photos.names.index(name) for name in found.names]
        assert found.cameras == tuple(photos.cameras[i] for i in order)
        same(found.truth.cam_from_world, photos.truth.cam_from_world[order])
        assert [found.names[i] for i in make_split(found).test] == [photos.names[i] for i in (0, 3, 6)]
        assert f"3 of 9 photos are not in it and were left out ({tmp_path / 'room'})" in " ".join(found.notes)
        assert found[0].camera == found.cameras[0]
    write_list(tmp_path / "others.csv", [row("room", "train", "room/none.png", ring(1)[0], inverse=True)])
    with pytest.raises(ResectError, match=r"e\.g\. room/none\.png"):
        read(tmp_path / "room", poses=tmp_path / "others.csv")


def test_several_places(tmp_path: Path) -> None:
    rows = seven(tmp_path, "alpha", ring(3)) + seven(tmp_path, "beta", ring(4, seed=1))
    path = write_list(tmp_path / "all.csv", rows)
    for source in ([path], [tmp_path / "beta", tmp_path / "alpha"], [tmp_path]):
        if source != [path]:
            for i, scene in ((3, "alpha"), (4, "beta")):
                for k in range(i):
                    pose = tmp_path / scene / f"seq-01/frame-{k:06d}.pose.txt"
                    pose.write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
        found = read_scenes(source)
        assert {name: len(photos) for name, photos in found.items()} == {"alpha": 3, "beta": 4}
        assert list(found) == ["alpha", "beta"]
    named = read_scenes([f"first={tmp_path / 'alpha'}", f"second={tmp_path / 'alpha'}"])
    assert list(named) == ["first", "second"]
    with pytest.raises(ResectError, match="two of the name"):
        read_scenes([tmp_path / "alpha", tmp_path / "alpha"])
    (tmp_path / "beta").rename(tmp_path / "elsewhere")
    with pytest.raises(ResectError, match=r"4 photos of 'beta'.*beside the folders"):
        read_scenes([path])


def test_a_list_and_images_that_disagree_are_both_counted(tmp_path: Path) -> None:
    path = write_list(tmp_path / "l.csv", seven(tmp_path, "alpha", ring(5)))
    (tmp_path / "alpha/seq-01/frame-000001.color.png").unlink()
    write_noise(tmp_path / "alpha/seq-01/frame-000009.color.png", 64, 48)
    said = " ".join(read(tmp_path / "alpha", poses=path).notes)
    assert "1 of 5 photos are not in it" in said
    assert f"1 of its 5 poses are of photos that are not in {tmp_path / 'alpha'}" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a,train,s,0.png,0,0,0,1,0,0", "11 cells"),
        ("a,train,s,0.png,0,0,0,2,0,0,0", "unit quaternion"),
        ("a,train,s,0.png,0,0,nan,1,0,0,0", "finite"),
        ("a,train,s,0.png,0,x,0,1,0,0,0", "t2"),
        (" ,train,s,0.png,0,0,0,1,0,0,0", "name of a scene"),
        ("a,train,s,1.png,0,0,0,1,0,0,0", "twice"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, line: str, said: str) -> None:
    path = write_list(tmp_path / "l.csv", ["a,train,s,1.png,0,0,0,1,0,0,0", line])
    with pytest.raises(ResectError, match=said) as caught:
        read_scene_csv(path)
    assert "l.csv:3" in str(caught.value)


def test_places_without_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("img_path,t1,t2,t3,q1,q2,q3,q4\na.png,0,0,0,1,0,0,0\n")
    with pytest.raises(ResectError, match=r"no scene.*which place"):
        read_scenes([tmp_path / "l.csv"])


def test_missing_columns_and_empty_lists(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("scene,img_path,t1,t2,t3,q1,q2,q3\n")
    with pytest.raises(ResectError, match="no q4"):
        read_scene_csv(tmp_path / "l.csv")
    with pytest.raises(ResectError, match="at least one row"):
        read_scene_csv(write_list(tmp_path / "m.csv", []))
    with pytest.raises(ResectError, match="no file"):
        read_scene_csv(tmp_path / "none.csv")
