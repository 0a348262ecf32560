import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from captures import ring, write_noise
from PIL import Image

from resect.data import make_split, read
from resect.data.transforms import write_transforms
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.types import PhotoSet


def _frame(name: str, **more: Any) -> dict[str, Any]:
    return {"file_path": name, "transform_matrix": np.eye(4).tolist(), **more}


def _write(folder: Path, facts: dict[str, Any], name: str = "transforms.json") -> None:
    (folder / name).write_text(json.dumps(facts))


def test_round_trip(photos: PhotoSet, tmp_path: Path) -> None:
    write_transforms(photos, tmp_path / "transforms.json")
    again = read(tmp_path)
    assert again.format == "nerfstudio"
    assert again.names == photos.names
    assert again.cameras == photos.cameras
    gap = again.truth.cam_from_world.matrix() - photos.truth.cam_from_world.matrix()
    assert gap.abs().max() < 1e-12
    assert torch.equal(again[3].image, photos[3].image)
    assert again[3].camera_source == "transforms.json"


def test_photos_without_the_transparency_of_the_others_are_named(tmp_path: Path) -> None:
    for i in range(3):
        write_noise(tmp_path / f"r_{i}.png", mode="RGB" if i == 1 else "RGBA")
    frames = [_frame(f"r_{i}.png") for i in range(3)]
    _write(tmp_path, {"fl_x": 30.0, "frames": frames})
    assert "1 of 3 photos are not transparent where the others are, such as r_1.png" in " ".join(read(tmp_path).notes)
    _write(tmp_path, {"fl_x": 30.0, "frames": frames[::2]})
    assert "transparent" not in " ".join(read(tmp_path).notes)


def test_round_trip_of_a_fisheye_and_of_a_rational_lens(tmp_path: Path) -> None:
    for i, camera in enumerate(
        (
            Camera(30.0, 31.0, 20.0, 15.0, 40, 30, "fisheye", (0.1, 0.01, -0.002, 0.0005)),
            Camera(30.0, 31.0, 20.0, 15.0, 40, 30, "opencv", (0.1, 0.01, 0.001, 0.002, 0.3, 0.01, 0.02, 0.03)),
            Camera(30.0, 31.0, 20.0, 15.0, 40, 30),
        )
    ):
        photos = ring(3, tmp_path / str(i), camera)
        write_transforms(photos, tmp_path / str(i) / "transforms.json")
        assert read(tmp_path / str(i)).cameras == photos.cameras


def test_axes_are_opengl(tmp_path: Path) -> None:
    """A camera at the origin with the identity looks along -z with +y up in OpenGL's world."""
    write_noise(tmp_path / "a.png")
    _write(tmp_path, {"camera_angle_x": 1.0, "frames": [_frame("a.png")]})
    photos = read(tmp_path)
    pixel, seen = photos.cameras[0].project(
        photos.truth.cam_from_world[0].apply(torch.tensor([[0.5, 1, -4.0]]).double())
    )
    assert bool(seen)
    assert pixel[0, 0] > 20
    assert pixel[0, 1] < 15


def test_blender_appends_png_takes_the_angle_and_gives_a_split(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("val", 2), ("test", 4)):
        for i in range(count):
            write_noise(tmp_path / part / f"r_{i}.png", mode="RGBA")
        frames = [_frame(f"./{part}/r_{i}") for i in range(count)]
        _write(tmp_path, {"camera_angle_x": 0.7, "frames": frames}, f"transforms_{part}.json")
    photos = read(tmp_path)
    assert photos.format == "blender"
    assert photos.names == ("train/r_0.png", "train/r_1.png", "train/r_2.png", "val/r_0.png", "val/r_1.png")
    split = make_split(photos)
    assert (split.rule, split.train, split.test) == ("given", (0, 1, 2), (3, 4))
    assert photos.cameras[0].fx == pytest.approx(20 / math.tan(0.35))
    assert (photos.cameras[0].cx, photos.cameras[0].cy) == (20, 15)
    assert photos[0].alpha is not None
    (tmp_path / "val" / "r_0.png").unlink()
    (tmp_path / "val" / "r_1.png").unlink()
    assert make_split(read(tmp_path)).test == (0, 1, 2, 3)
    assert len(read(tmp_path / "transforms_test.json")) == 4


def test_a_frame_overrides_the_file(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.png")
    write_noise(tmp_path / "b.png")
    frames = [_frame("a.png"), _frame("b.png", fl_x=70, fl_y=71, cx=19, k1=0.5)]
    _write(tmp_path, {"fl_x": 50, "cx": 21, "cy": 14, "w": 40, "h": 30, "frames": frames})
    photos = read(tmp_path)
    assert photos.cameras[0] == Camera(50.0, 50.0, 21.0, 14.0, 40, 30)
    assert photos.cameras[1] == Camera(70.0, 71.0, 19.0, 14.0, 40, 30, "opencv", (0.5,))


def test_smaller_images_scale_the_camera_and_other_shapes_are_refused(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.png", 20, 15)
    facts = {"fl_x": 50, "cx": 21, "cy": 14, "w": 40, "h": 30, "frames": [_frame("a.png")]}
    _write(tmp_path, facts)
    assert read(tmp_path).cameras[0] == Camera(25.0, 25.0, 10.5, 7.0, 20, 15)
    write_noise(tmp_path / "a.png", 20, 20)
    with pytest.raises(ResectError, match="40x30 or a resized one"):
        read(tmp_path)


def test_masks_and_depth(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.png")
    Image.fromarray(np.full((30, 40), 2000, np.uint16)).save(tmp_path / "d.png")
    Image.fromarray(np.tri(30, 40, dtype=np.uint8) * 255).save(tmp_path / "m.png")
    _write(tmp_path, {"fl_x": 50, "frames": [_frame("a.png", mask_path="m.png", depth_file_path="d.png")]})
    photo = read(tmp_path)[0]
    assert photo.depth is not None
    assert photo.mask is not None
    assert torch.allclose(photo.depth, torch.tensor(2.0))
    assert torch.equal(photo.mask, torch.ones(30, 40).tril().bool())


def test_missing_images_are_named_and_skipped(photos: PhotoSet, tmp_path: Path) -> None:
    write_transforms(photos, tmp_path / "transforms.json")
    (tmp_path / photos.names[2]).unlink()
    again = read(tmp_path)
    assert len(again) == 9
    (note,) = again.notes
    assert note.startswith("1 of 10 listed images are missing and were skipped: images/002.png (of ")
    for name in photos.names:
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(ResectError, match="none of 10"):
        read(tmp_path)


def test_sideways_photos_turn_with_camera_and_pose(tmp_path: Path) -> None:
    """A point drawn in the stored picture is found where the turned camera says."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((60, 80, 3), np.uint8)
    stored[10, 70] = 255
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    _write(tmp_path, {"fl_x": 100, "cx": 41, "cy": 29, "w": 80, "h": 60, "frames": [_frame("a.png")]})
    photos = read(tmp_path)
    assert "turned upright" in photos.notes[0]
    assert (photos.cameras[0].width, photos.cameras[0].height) == (60, 80)
    image = photos[0].image
    assert image.shape == (80, 60, 3)
    ray = torch.tensor([[(70.5 - 41) / 100, -(10.5 - 29) / 100, -1.0]], dtype=torch.float64)  # OpenGL axes
    pixel, _ = photos.cameras[0].project(photos.truth.cam_from_world[0].apply(ray))
    column, row = (int(v) for v in pixel[0])
    assert image[row, column].min() > 0.99
    _write(tmp_path, {"fl_x": 100, "cx": 29, "cy": 41, "w": 60, "h": 80, "frames": [_frame("a.png")]})
    upright = read(tmp_path)
    assert upright.notes == ()
    assert upright[0].image.shape == (80, 60, 3)
    assert upright.cameras[0].cx == 29


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"transform_matrix": [[1, 0, 0, 0], [0, float("nan"), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "finite"),
        ({"transform_matrix": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]}, "a rotation times 2"),
        ({"transform_matrix": [[-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "determinant -1"),
        ({"transform_matrix": [[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}, "RᵀR"),
        ({"transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 2, 3, 1]]}, "transposed"),
        ({"transform_matrix": "no"}, "3 or 4 rows"),
        ({"transform_matrix": None}, "3 or 4 rows"),
        ({"file_path": "../../etc/passwd"}, "inside"),
        ({"file_path": "/etc/passwd"}, "inside"),
        ({"mask_path": "../m.png"}, "inside"),
        ({"file_path": 7}, "file_path"),
        ({"fl_x": -5}, "positive"),
        ({"camera_model": "OPENCVV"}, "Did you mean 'OPENCV'"),
        ({"k4": 0.1}, "k4"),
    ],
)
def test_bad_frames_are_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    write_noise(tmp_path / "a.png")
    _write(tmp_path, {"fl_x": 50, "frames": [{**_frame("a.png"), **change}]})
    with pytest.raises(ResectError, match=said) as caught:
        read(tmp_path)
    assert "frames[0]" in str(caught.value) or str(tmp_path) in str(caught.value)


def test_a_slightly_rounded_rotation_becomes_the_nearest(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.png")
    turn, _ = cv2.Rodrigues(np.array([0.3, -0.7, 0.2]))
    rows = np.eye(4)
    rows[:3, :3] = np.round(turn, 4)
    _write(tmp_path, {"fl_x": 50, "frames": [{"file_path": "a.png", "transform_matrix": rows.tolist()}]})
    rotation = read(tmp_path).truth.cam_from_world.R[0]
    assert (rotation @ rotation.mT - torch.eye(3)).abs().max() < 1e-12


@pytest.mark.parametrize("text", ["", "{", "[]", '{"frames": 3}', '{"frames": []}', '{"frames": [{}]}'])
def test_bad_files_are_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(ResectError, match=r"transforms\.json|at least one"):
        read(tmp_path)


def test_no_focal_length_is_an_error(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.png")
    _write(tmp_path, {"frames": [_frame("a.png")]})
    with pytest.raises(ResectError, match="camera_angle_x"):
        read(tmp_path)


def test_two_poses_for_one_photo_are_an_error(tmp_path: Path) -> None:
    write_noise(tmp_path / "a.png")
    moved = np.eye(4)
    moved[0, 3] = 1
    same = {"fl_x": 50, "frames": [_frame("a.png"), _frame("./a.png")]}
    _write(tmp_path, same)
    assert len(read(tmp_path)) == 1
    _write(tmp_path, {"fl_x": 50, "frames": [_frame("a.png"), {"file_path": "a", "transform_matrix": moved.tolist()}]})
    with pytest.raises(ResectError, match="two that differ"):
        read(tmp_path)


@pytest.mark.real
def test_fox(real: Path) -> None:
    photos = read(real / "fox")
    assert (len(photos), photos.format) == (50, "instant-ngp")
    assert photos.notes[0].startswith("17 of 67 listed images are missing")
    assert photos.cameras[0] == Camera(
        1375.52, 1374.49, 554.558, 965.268, 1080, 1920, "opencv", (0.0578421, -0.0805099, -0.000980296, 0.00015575)
    )
    assert len(make_split(photos).test) == 7
    assert photos[0].image.shape == (1920, 1080, 3)


@pytest.mark.real
def test_lego(real: Path) -> None:
    photos = read(real / "nerf_synthetic_lego")
    split = make_split(photos)
    assert (len(split.train), len(split.test), split.rule) == (70, 10, "given")
    axes_to_origin = torch.nn.functional.cosine_similarity(
        photos.truth.cam_from_world.axis, -photos.truth.cam_from_world.center, dim=-1
    )
    assert axes_to_origin.min() > 0.999
