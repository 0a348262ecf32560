from pathlib import Path

import numpy as np
import pytest
import torch
from captures import write_noise
from PIL import Image

from resect.data import make_split, read
from resect.data.epipolar import find_features, match, sampson_error
from resect.errors import ResectError

IDENTITY = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"


def _frame(folder: Path, number: int, rows: str = IDENTITY) -> None:
    write_noise(folder / f"frame-{number:06d}.color.png", 64, 48)
    (folder / f"frame-{number:06d}.pose.txt").write_text(rows)


def test_sequences_and_their_given_split(tmp_path: Path) -> None:
    for sequence in (1, 2, 3):
        _frame(tmp_path / f"seq-{sequence:02d}", 0)
    (tmp_path / "TrainSplit.txt").write_text("sequence1\nsequence3\n")
    (tmp_path / "TestSplit.txt").write_text("sequence2\n")
    photos = read(tmp_path)
    assert photos.format == "7scenes"
    assert photos.world.meters_per_unit == 1
    split = make_split(photos)
    assert (split.rule, split.train, split.test) == ("given", (0, 2), (1,))
    assert "not here" not in " ".join(photos.notes)
    (tmp_path / "TestSplit.txt").write_text("sequence2\nsequence9\n")
    assert "not here: [9]" in " ".join(read(tmp_path).notes)


def test_pose_files_are_world_from_cam_in_pixel_centres(tmp_path: Path) -> None:
    _frame(tmp_path, 0, "1 0 0 1\n0 1 0 2\n0 0 1 3\n0 0 0 1\n")
    photos = read(tmp_path)
    assert photos.truth.cam_from_world.center[0].tolist() == [1, 2, 3]
    camera = photos.cameras[0].rescale(640, 480)
    assert (camera.fx, camera.cx, camera.cy) == pytest.approx((525, 320.5, 240.5))


def test_a_list_is_cam_from_world_with_focal_and_image_corner(tmp_path: Path) -> None:
    for number in (0, 4, 8):
        _frame(tmp_path / "kitchen_seq01", number)
    lines = [f"seq-0{s}/frame-00000{n}.color.png 1 0 0 0 {n} {s} 0 526.5" for s in (1, 2) for n in (0, 4)]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    photos = read(tmp_path / "kitchen_seq01", tmp_path / "list.txt")
    assert len(photos) == 2
    assert photos.truth.cam_from_world.t.tolist() == [[0, 1, 0], [4, 1, 0]]
    camera = photos.cameras[0].rescale(640, 480)
    assert (camera.fx, camera.cx, camera.cy) == pytest.approx((526.5, 320, 240))
    assert "1 of 3 photos are not in it" in " ".join(photos.notes)
    (tmp_path / "kitchen_seq01").rename(tmp_path / "kitchen")
    with pytest.raises(ResectError, match="2 sequences"):
        read(tmp_path / "kitchen", tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1 0 0 0\n0 1 0 0\n0 0 1 0\n", None),
        ("1 0 0 nan\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "finite"),
        ("1 0 0\n0 1 0\n0 0 1\n", "4 numbers"),
        ("1 0 0 0\n0 1 0 0\n", "3 or 4 rows"),
        ("1 0 0 0\n0 2 0 0\n0 0 1 0\n0 0 0 1\n", "RᵀR"),
        ("a b c d\n" * 4, "a number"),
    ],
)
def test_bad_pose_files_are_named(tmp_path: Path, rows: str, said: str | None) -> None:
    _frame(tmp_path, 0, rows)
    if said is None:
        assert len(read(tmp_path)) == 1
        return
    with pytest.raises(ResectError, match=said) as caught:
        read(tmp_path)
    assert "frame-000000.pose.txt" in str(caught.value)


def test_a_missing_pose_file_is_named(tmp_path: Path) -> None:
    _frame(tmp_path, 0)
    _frame(tmp_path, 1)
    (tmp_path / "frame-000000.pose.txt").unlink()
    with pytest.raises(ResectError, match=r"each of its 2 photos.* 1; without one: frame-000000\.color") as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_depth_lands_on_the_colour_pixels(tmp_path: Path) -> None:
    """A plane two metres before the depth camera is two metres before the colour camera."""
    _frame(tmp_path, 0)
    Image.fromarray(np.full((480, 640), 2000, np.uint16)).save(tmp_path / "frame-000000.depth.png")
    write_noise(tmp_path / "frame-000000.color.png", 640, 480)
    depth = read(tmp_path)[0].depth
    assert depth is not None
    inner = depth[100:-100, 100:-100]
    known = inner[inner > 0]
    assert len(known) > 0.95 * inner.numel()
    assert (known - 2).abs().max() < 1e-5


@pytest.mark.real
def test_kitchen_list_agrees_with_the_photos_and_beats_the_pose_files(real: Path) -> None:
    folder = real / "7scenes_redkitchen_seq01"
    listed = read(folder, folder / "sfm_pgt_redkitchen_seq01.txt")
    own = read(folder)
    assert len(listed) == len(own) == 160
    assert listed.names == own.names
    medians = []
    for photos in (listed, own):
        errors = []
        for i, j in ((20, 24), (40, 44), (60, 64)):
            pixels = match(find_features(photos[i]), find_features(photos[j]))
            relative = photos.truth.cam_from_world[j] @ photos.truth.cam_from_world[i].inverse()
            errors.append(sampson_error(*pixels, photos.cameras[i], photos.cameras[j], relative))
        medians.append(float(torch.cat(errors).median()))
    assert medians[0] < 0.6
    assert medians[0] < medians[1]
