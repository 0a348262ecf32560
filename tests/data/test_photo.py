import json
import math
from pathlib import Path

import pytest
import torch
from captures import CAMERA, ring, write_noise
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from resect.data import read, read_photo
from resect.data.camera_file import read_camera, write_camera
from resect.data.colmap import write_colmap
from resect.data.exif import camera_from_exif
from resect.data.transforms import write_transforms
from resect.errors import ResectError
from resect.geometry.camera import Camera


def _jpeg(path: Path, size: tuple[int, int] = (400, 300), orientation: int = 1, focal_35mm: int | None = None) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if focal_35mm is not None:
        exif.get_ifd(0x8769)[0xA405] = focal_35mm
    Image.new("RGB", size, (90, 120, 30)).save(path, exif=exif)
    return path


def test_nothing_known(tmp_path: Path) -> None:
    photo = read_photo(_jpeg(tmp_path / "a.jpg"))
    assert photo.camera is None
    assert photo.camera_source == "unknown"
    with pytest.raises(ResectError, match="--fov-deg"):
        photo.known_camera()


def test_the_order_of_sources(photos: object, tmp_path: Path) -> None:
    scene = Camera(300.0, 300.0, 200.0, 150.0, 400, 300)
    path = _jpeg(tmp_path / "a.jpg", focal_35mm=28)
    assert read_photo(path, scene_camera=scene).camera_source == "exif"
    plain = _jpeg(tmp_path / "b.jpg")
    assert read_photo(plain, scene_camera=scene).camera_source == "scene"
    assert read_photo(plain, scene_camera=scene.rescale(800, 600)).camera == scene
    assert read_photo(plain, scene_camera=Camera(300.0, 300.0, 150.0, 200.0, 300, 400)).camera is None
    write_camera(Camera(333.0, 333.0, 200.0, 150.0, 400, 300), tmp_path / "camera.json")
    given = read_photo(path, camera_file=tmp_path / "camera.json", scene_camera=scene)
    assert (given.camera_source, given.known_camera().fx) == ("flag", 333)
    by_angle = read_photo(path, fov_deg=90).known_camera()
    assert (by_angle.fx, by_angle.cx) == (pytest.approx(200), 200)
    with pytest.raises(ResectError, match="one of camera"):
        read_photo(path, fov_deg=90, camera=scene)
    with pytest.raises(ResectError, match="shape"):
        read_photo(path, camera=Camera(300.0, 300.0, 150.0, 200.0, 300, 300))


def test_an_entry_beside_the_photo_comes_before_exif(tmp_path: Path) -> None:
    photos = ring(3, tmp_path)
    write_transforms(photos, tmp_path / "transforms.json")
    photo = read_photo(tmp_path / photos.names[1])
    assert (photo.camera_source, photo.camera) == ("transforms.json", CAMERA)
    (tmp_path / "transforms.json").unlink()
    write_colmap(photos, tmp_path / "sparse" / "0")
    photo = read_photo(tmp_path / photos.names[1])
    assert (photo.camera_source, photo.camera) == ("cameras.txt", CAMERA)


def test_sideways_photo_turns_its_camera(tmp_path: Path) -> None:
    path = _jpeg(tmp_path / "a.jpg", orientation=6)
    stored = Camera(310.0, 305.0, 190.0, 155.0, 400, 300)
    photo = read_photo(path, camera=stored)
    assert photo.image.shape == (400, 300, 3)
    assert photo.camera == Camera(305.0, 310.0, 145.0, 190.0, 300, 400)
    upright = Camera(305.0, 310.0, 145.0, 190.0, 300, 400)
    assert read_photo(path, camera=upright).camera == upright
    assert read_photo(path, scene_camera=upright).camera == upright
    assert read_photo(path, scene_camera=stored).camera is None
    assert read_photo(path, fov_deg=60).known_camera().fx == pytest.approx(150 / math.tan(math.radians(30)))


def test_exif_focal_length_is_by_the_diagonal(tmp_path: Path) -> None:
    """28 mm at 4032×3024 is the phone of the fern photos, whose structure from motion gave 3260.5 pixels."""
    camera = camera_from_exif({0xA405: 28}, 4032, 3024)
    assert camera is not None
    assert camera.fx == pytest.approx(3260.5, rel=0.001)
    photo = read_photo(_jpeg(tmp_path / "a.jpg", orientation=8, focal_35mm=28))
    assert photo.known_camera().fx == pytest.approx(28 / math.hypot(36, 24) * 500)
    assert photo.known_camera().width == 300


def test_exif_focal_length_from_the_sensor() -> None:
    tags: dict[int, object] = {0x920A: IFDRational(50, 1), 0xA20E: IFDRational(4438, 1), 0xA210: 2}
    camera = camera_from_exif({**tags, 0xA002: 3888, 0xA003: 2592}, 1944, 1296)
    assert camera is not None
    assert camera.fx == pytest.approx(50 * 4438 / 25.4 / 2)
    assert camera_from_exif({0x920A: 50}, 400, 300) is None


@pytest.mark.parametrize("value", [0, -1, IFDRational(0, 0), "x", None, 1e9, float("nan"), (1, 2)])
def test_absurd_exif_is_ignored(value: object) -> None:
    assert camera_from_exif({0xA405: value}, 400, 300) is None


def test_camera_files(tmp_path: Path) -> None:
    write_camera(CAMERA, tmp_path / "c.json")
    assert read_camera(tmp_path / "c.json") == CAMERA
    bop = {"fx": 50.0, "fy": 51.0, "cx": 19.5, "cy": 14.5, "width": 40, "height": 30, "depth_scale": 1.0}
    (tmp_path / "camera.json").write_text(json.dumps(bop))
    assert read_camera(tmp_path / "camera.json") == Camera(50.0, 51.0, 20.0, 15.0, 40, 30)
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 40 30 50 51 20 15\n")
    assert read_camera(tmp_path / "cameras.txt") == Camera(50.0, 51.0, 20.0, 15.0, 40, 30)
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 40 30 50 51 20 15\n2 PINHOLE 80 60 50 51 20 15\n")
    assert read_camera(tmp_path / "cameras.txt", width=80, height=60).width == 80
    with pytest.raises(ResectError, match="0 of 2"):
        read_camera(tmp_path / "cameras.txt", width=7, height=7)
    (tmp_path / "transforms.json").write_text(json.dumps({"fl_x": 50, "w": 40, "h": 30, "frames": []}))
    assert read_camera(tmp_path / "transforms.json") == Camera(50.0, 50.0, 20.0, 15.0, 40, 30)
    own = [{"file_path": f"{i}.png", "fl_x": 50, "w": 40, "h": 30, "cx": 20, "cy": 15} for i in range(2)]
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": own}))
    assert read_camera(tmp_path / "transforms.json", "new.png") == Camera(50.0, 50.0, 20.0, 15.0, 40, 30)
    own[1]["fl_x"] = 51
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": own}))
    with pytest.raises(ResectError, match="one camera for all"):
        read_camera(tmp_path / "transforms.json", "new.png")
    for text, said in (
        ('{"fx": 1}', "keys fx"),
        ('{"fx": "a", "fy": 1, "cx": 1, "cy": 1, "width": 1, "height": 1}', "fx"),
        ('{"fx": -1, "fy": 1, "cx": 1, "cy": 1, "width": 1, "height": 1}', "positive"),
        ('{"fx": 1, "fy": 1, "cx": 1, "cy": 1, "width": 1, "height": 1, "model": "bad"}', "model"),
    ):
        (tmp_path / "c.json").write_text(text)
        with pytest.raises(ResectError, match=said):
            read_camera(tmp_path / "c.json")
    with pytest.raises(ResectError, match="no file"):
        read_camera(tmp_path / "none.json")


def test_no_pose_comes_with_a_photo(tmp_path: Path) -> None:
    photos = ring(3, tmp_path)
    write_transforms(photos, tmp_path / "transforms.json")
    photo = read_photo(tmp_path / photos.names[1])
    assert not any("world" in name for name in vars(photo))


def test_unknown_folders_list_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="an empty folder") as caught:
        read(tmp_path)
    assert "poses_bounds.npy" in str(caught.value)
    assert "resect data pose" in str(caught.value)
    write_noise(tmp_path / "a.png")
    with pytest.raises(ResectError, match=r"got a\.png"):
        read(tmp_path)
    with pytest.raises(ResectError, match="nothing there"):
        read(tmp_path / "none")
    with pytest.raises(ResectError, match="a file"):
        read(tmp_path / "a.png")


def test_a_pose_list_needs_a_format_that_takes_one(tmp_path: Path) -> None:
    photos = ring(3, tmp_path)
    write_transforms(photos, tmp_path / "transforms.json")
    (tmp_path / "list.txt").write_text("")
    with pytest.raises(ResectError, match="7scenes or cambridge or tum"):
        read(tmp_path, tmp_path / "list.txt")
    with pytest.raises(ResectError, match="no file"):
        read(tmp_path, tmp_path / "none.txt")


def test_images_are_read_when_asked_for(tmp_path: Path) -> None:
    photos = ring(3, tmp_path)
    before = photos[1].image
    write_noise(tmp_path / photos.names[1], 40, 30, seed=77)
    assert not torch.equal(photos[1].image, before)
    (tmp_path / photos.names[2]).unlink()
    with pytest.raises(ResectError, match="no file"):
        photos[2]
