import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shell import resect

sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))
from cube import CAMERA, block, opacity, photograph, ring

from resect.cli.track import _files, _stamps
from resect.data.mesh import write_mesh
from resect.data.models_info import ModelInfo, write_models_info
from resect.data.trajectory import read_trajectory, write_trajectory
from resect.geometry.trajectory import Trajectory

COUNT = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of a block seen from an orbit, one of them blank, with everything that `resect track` asks for."""
    root = tmp_path_factory.mktemp("sequence")
    poses = ring(COUNT, 16.0)
    (root / "frames").mkdir()
    for k in range(COUNT):
        image = photograph(poses[k], str(k)).image if k != 3 else torch.full((72, 96, 3), 0.7)
        Image.fromarray((255 * image.numpy()).astype(np.uint8)).save(root / "frames" / f"{k:04d}.png")
    mask = (opacity(poses[0]) > 0.5).numpy()
    Image.fromarray((255 * mask).astype(np.uint8)).save(root / "mask.png")
    write_mesh(block(), root / "block.ply")
    keys = ("fx", "fy", "cx", "cy", "width", "height")
    (root / "camera.json").write_text(json.dumps({k: getattr(CAMERA, k) for k in keys}))
    (root / "start.json").write_text(json.dumps({"cam_from_world": poses[0].matrix().tolist()}))
    truth = Trajectory(torch.arange(COUNT).double(), poses.inverse(), tuple(map(str, range(COUNT))))
    write_trajectory(truth, root / "truth.txt")
    return root


def command(folder: Path, out: Path, *more: object) -> tuple[object, ...]:
    known = ("--scene", folder / "block.ply", "--camera", folder / "camera.json", "--out", out, "--follow.count", 64)
    return ("track", folder / "frames", *known, *more)


def test_track_from_one_mask_then_score(folder: Path, tmp_path: Path) -> None:
    said = resect(
        *command(folder, tmp_path / "t.txt", "--mask", folder / "mask.png", "--json", "--map", tmp_path / "m.ply")
    )
    assert said.code == 3, said.err  # one frame is lost
    assert (said.json["frames"], said.json["poses"], said.json["lost"]) == (COUNT, COUNT - 1, ["0003.png"])
    assert read_trajectory(tmp_path / "t.txt").stamps == ("0", "1", "2", "4")
    assert (tmp_path / "m.ply").is_file()
    rows = (tmp_path / "t.txt.poses.csv").read_text().splitlines()
    assert len(rows) == 2 + COUNT
    assert "0003.png,,0,NO_HYPOTHESIS,,,,,,,," in rows[5]
    scored = resect("score", tmp_path / "t.txt", folder / "truth.txt", "--align", "none", "--json").json
    assert scored["ate_rmse"] < 0.05
    assert scored["matched"] == COUNT - 1
    again = resect(*command(folder, tmp_path / "t.txt", "--mask", folder / "mask.png"))
    assert again.code == 2
    assert "--overwrite" in again.err


def test_the_camera_s_height_is_held(folder: Path, tmp_path: Path) -> None:
    """The camera is 1 over the floor that the block stands on; 1.1 is told, for sure."""
    frames = sorted((folder / "frames").iterdir())[:2]
    known = ("--scene", folder / "block.ply", "--camera", folder / "camera.json", "--mask", folder / "mask.png")
    told = ("--camera-height", 1.1, "--height-sigma", 1e-4, "--follow.count", 64, "--rough", "--recut", 1)
    said = resect("track", *frames, *known, "--out", tmp_path / "t.txt", *told, "--no-smooth", "--json")
    assert said.code == 0, said.err
    heights = read_trajectory(tmp_path / "t.txt").positions[:, 2]
    assert float((heights - 1.1).abs().max()) < 0.01
    assert "and --mask" in resect("track", *frames, *known[:4], "--out", tmp_path / "u.txt", *told).err


def test_symmetries_come_from_a_file(folder: Path, tmp_path: Path) -> None:
    write_models_info(tmp_path / "models_info.json", {"other": ModelInfo.of(block())})
    said = resect(
        *command(
            folder, tmp_path / "t.txt", "--mask", folder / "mask.png", "--symmetries", tmp_path / "models_info.json"
        )
    )
    assert said.code == 2
    assert "model 'block'" in said.err


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.txt"
    assert "where the objects are" in resect(*command(folder, out)).err
    both = resect(*command(folder, out, "--mask", folder / "mask.png", "--start", folder / "start.json"))
    assert "one of --mask and --start" in both.err
    two = resect(*command(folder, out, "--mask", folder / "mask.png", folder / "mask.png"))
    assert "one for each of the 1 scenes" in two.err
    frame = resect(*command(folder, out, "--mask", f"9.png={folder / 'mask.png'}"))
    assert "name of a frame" in frame.err
    backwards = [folder / "frames" / f"{k:04d}.png" for k in (0, 2, 1)]
    order = resect("track", *backwards, *command(folder, out)[2:], "--mask", folder / "mask.png")
    assert (order.code, "0001.png after 0002.png" in order.err) == (2, True)
    assert not out.exists()


def test_frames_are_looked_at_before_the_first_is_followed(folder: Path, tmp_path: Path) -> None:
    first = folder / "frames" / "0000.png"
    Image.new("RGB", (48, 36)).save(tmp_path / "0001.png")
    (tmp_path / "0002.png").write_text("no picture")
    for name, words in (
        ("0001.png", "0001.png: expected a frame of the size of 0000.png, 96x72"),
        ("0002.png", "an image"),
    ):
        rest = command(folder, tmp_path / "t.txt", "--mask", folder / "mask.png")[2:]
        said = resect("track", first, tmp_path / name, *rest)
        assert (said.code, words in said.err, "FOUND" in said.err) == (2, True, False)


@pytest.mark.parametrize(
    ("names", "stamps"),
    [
        (["0.png", "2.png", "10.png"], ["0", "2", "10"]),
        (["8.05.png", "8.10.png", "8.9.png"], ["8.05", "8.10", "8.9"]),
        (["frame_1.png", "frame_2.png", "frame_10.png"], ["0", "1", "2"]),
        (["1_1.png", "1_2.png", "nan.png"], ["0", "1", "2"]),
    ],
)
def test_a_folder_of_frames_goes_by_their_numbers(names: list[str], stamps: list[str], tmp_path: Path) -> None:
    for name in reversed(names):
        (tmp_path / name).touch()
    files = _files([tmp_path])
    assert [f.name for f in files] == names
    assert _stamps(files, None) == stamps
