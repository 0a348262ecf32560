import csv
from pathlib import Path

import torch

from resect.cli.main import main
from resect.data.pairs import find_pairs, overlap, wanted, write_pairs
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.geometry import so3
from resect.geometry.camera import Camera
from resect.geometry.se3 import SE3
from resect.scenes.room import Room
from resect.types import PhotoSet


def flat(depth: float, camera: Camera) -> torch.Tensor:
    return torch.full((camera.height, camera.width), depth)


def test_the_overlap_of_two_views_of_a_wall_is_that_of_two_rectangles() -> None:
    """Cameras that look straight at a wall, one a quarter of the picture's width beside the other."""
    camera = Camera(40.0, 40.0, 20.0, 20.0, 40, 40)
    one = SE3.identity(dtype=torch.float64)
    other = SE3(torch.eye(3, dtype=torch.float64), torch.tensor([-0.5, 0.0, 0.0], dtype=torch.float64))
    share = overlap(flat(2.0, camera), camera, one, flat(2.0, camera), camera, other)
    assert abs(share - 0.75) < 0.03
    assert overlap(flat(2.0, camera), camera, one, flat(1.0, camera), camera, other) == 0  # something is before it
    assert overlap(flat(0.0, camera), camera, one, flat(2.0, camera), camera, other) == 0


def test_the_rule_is_the_published_one() -> None:
    shares = torch.tensor([[0.5, 0.6], [0.5, 0.6], [0.35, 0.9], [0.1, 0.2], [0.1, 0.9], [0.01, 0.1]])
    angles = torch.tensor([10.0, 45.0, 70.0, 5.0, 5.0, 5.0])
    assert wanted(shares, angles).tolist() == [True, False, True, True, False, False]


def capture() -> PhotoSet:
    return make_capture(SyntheticSettings(photos=8, width=64, height=48, path="orbit"))


def test_pairs_are_written_with_relative_poses_that_compose(tmp_path: Path) -> None:
    photos, room = capture(), Room()

    def depth_of(i: int, camera: Camera) -> torch.Tensor:
        depth = room.render(camera, photos.truth.cam_from_world[i : i + 1], ("depth",)).depth
        assert depth is not None
        return depth[0].view(camera.height, camera.width)

    found = find_pairs(photos, depth_of)
    assert len(found.a) > 0
    assert bool((found.a < found.b).all())
    write_pairs(photos, found, "room", tmp_path / "pairs.csv")
    with (tmp_path / "pairs.csv").open() as file:
        row = next(csv.DictReader(file))
    world = photos.truth.cam_from_world.double().inverse()
    i, j = photos.names.index(row["img_path_a"]), photos.names.index(row["img_path_b"])
    q = torch.tensor([float(row[f"q{k}_ab"]) for k in range(1, 5)], dtype=torch.float64)
    t = torch.tensor([float(row[f"x{k}_ab"]) for k in range(1, 4)], dtype=torch.float64)
    torch.testing.assert_close(world.R[i] @ so3.from_quaternion(q), world.R[j], atol=1e-6, rtol=0)
    torch.testing.assert_close(world.t[i] + t, world.t[j], atol=1e-6, rtol=0)


def test_label_lists_and_pairs_from_the_command_line(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        make_capture(SyntheticSettings(photos=9, width=64, height=48, path="orbit", seed=seed), tmp_path / name)
    places = [str(tmp_path / "a"), str(tmp_path / "b")]
    out = tmp_path / "labels.csv"
    assert main(["data", "labels", *places, "--out", str(out), "--fraction", "0.5"]) == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    names = [row["img_path"] for row in rows]
    assert len(set(names)) == len(names) == 2 * (4 + 2)  # 4 of 7, without repetition, and 2 held out
    assert [row["split"] for row in rows].count("test") == 4
    assert main(["data", "labels", *places, "--out", str(out)]) == 2  # nothing is overwritten unasked
    assert main(["data", "pairs", places[0], "--out", str(tmp_path / "pairs.csv")]) == 0
    assert (tmp_path / "pairs.csv").read_text().count("\n") > 1


def test_a_label_list_reads_back(tmp_path: Path) -> None:
    from resect.data.scene_csv import read_scene_csv, write_scene_csv
    from resect.data.split import make_split

    photos = capture()
    count = write_scene_csv({"room": (photos, make_split(photos, "every:4"))}, tmp_path / "l.csv")
    rows, _ = read_scene_csv(tmp_path / "l.csv", "world_from_cam")
    assert (count, len(rows)) == (8, 8)
    found = SE3.stack([row.cam_from_world for row in rows])
    torch.testing.assert_close(found.matrix(), photos.truth.cam_from_world.double().matrix(), atol=1e-6, rtol=0)
