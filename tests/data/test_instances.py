"""Folders of instances: round trip, views evenly spread, and everything that may be wrong with them."""

import shutil
from pathlib import Path

import pytest
import torch

from resect.data.image import png_bytes
from resect.data.instances import is_instances, read_instances, write_instance
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.geometry.look_at import look_at

CAMERA = Camera(40.0, 40.0, 16.0, 16.0, 32, 32)
POSES = look_at(torch.tensor([[2.0, 0.1 * k, 0.5] for k in range(6)], dtype=torch.float64), torch.zeros(6, 3).double())


def image(k: int, width: int = 32, height: int = 32) -> bytes:
    return png_bytes(torch.full((height, width, 3), 40 * k, dtype=torch.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("b", "a"):
        write_instance(tmp_path / name, [image(k) for k in range(6)], CAMERA, POSES)
    return tmp_path


def test_what_is_written_is_read(root: Path) -> None:
    assert is_instances(root)
    found = read_instances(root)
    assert found.names == ("a", "b")
    assert found.instance.tolist() == [0] * 6 + [1] * 6
    photo = found.photos[7]
    assert photo.camera is not None
    assert (photo.camera.fx, photo.camera.cx, photo.camera.width) == pytest.approx((40.0, 16.0, 32))
    assert photo.target is not None
    assert photo.target.object_id == "b"
    assert float(photo.image.mean()) == pytest.approx(40 / 255, abs=1e-3)
    assert (found.photos.truth.cam_from_world[7].t - POSES[1].t).abs().max() < 1e-6
    assert len(found.of(1)) == 6


def test_views_are_evenly_spread_and_instances_chosen(root: Path) -> None:
    found = read_instances(root, views=3, instances=("b",))
    assert found.photos.names == ("b/rgb/000000.png", "b/rgb/000002.png", "b/rgb/000004.png")


def test_a_wide_image_is_cropped_about_its_middle_with_its_camera(root: Path) -> None:
    (root / "a" / "intrinsics.txt").write_text("20 19.5 7.5 0.\n0 0 0\n1\n16 40\n")
    for k in range(6):
        (root / "a" / "rgb" / f"{k:06d}.png").write_bytes(image(k, 80, 32))
    photo = read_instances(root).photos[0]
    assert photo.image.shape == (32, 32, 3)
    assert photo.camera is not None
    assert (photo.camera.fx, photo.camera.cx, photo.camera.cy) == pytest.approx((40.0, 16.0, 16.0))


def spoil(root: Path, what: str) -> None:
    one = root / "a"
    if what == "pose":
        (one / "pose" / "000003.txt").unlink()
    elif what == "intrinsics":
        (one / "intrinsics.txt").unlink()
    elif what == "words":
        (one / "intrinsics.txt").write_text("f cx cy 0\n0 0 0\n1\n32 32\n")
    elif what == "short":
        (one / "intrinsics.txt").write_text("40 15.5 15.5 0\n")
    elif what == "stretched":
        (one / "pose" / "000003.txt").write_text(" ".join(["2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1"]))
    elif what == "squeezed":
        (one / "rgb" / "000000.png").write_bytes(image(0, 40, 32))
    elif what == "fifteen":
        (one / "pose" / "000003.txt").write_text("1 " * 15)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("pose", "000003"),
        ("intrinsics", "no file"),
        ("words", "line 1"),
        ("short", "height width"),
        ("stretched", "a rotation times 2"),
        ("fifteen", "or 12"),
        ("squeezed", "images of 40 x 32 and a camera of 32 x 32"),
    ],
)
def test_broken_folders_are_refused(root: Path, what: str, words: str) -> None:
    spoil(root, what)
    with pytest.raises(ResectError, match=words):
        read_instances(root)


def test_views_and_names_that_are_not_there_are_refused(root: Path) -> None:
    with pytest.raises(ResectError, match="6 views or fewer"):
        read_instances(root, views=7)
    with pytest.raises(ResectError, match="one of a, b"):
        read_instances(root, instances=("c",))
    with pytest.raises(ResectError, match="rgb"):
        read_instances(root / "a")
    with pytest.raises(ResectError, match="new folder"):
        write_instance(root / "a", [], CAMERA, POSES[:0])
    (root / "a" / "rgb" / "000002.png").write_bytes(image(2, 20, 20))
    (root / "b" / "rgb" / "000002.png").write_bytes(image(2, 40, 32))
    for index in (2, 8):
        with pytest.raises(ResectError, match="first image"):
            read_instances(root).photos[index]


def test_views_are_chosen_by_number(root: Path) -> None:
    found = read_instances(root, numbers=(5, 1))
    assert found.photos.names[:2] == ("a/rgb/000005.png", "a/rgb/000001.png")
    with pytest.raises(ResectError, match="0 to 5"):
        read_instances(root, numbers=(6,))


def test_the_variant_with_a_camera_matrix_and_poses_of_objects(root: Path) -> None:
    one, matrix = root / "a", POSES[0].matrix()[:3].flatten().tolist()
    (one / "intrinsics.txt").write_text("50 0 19.5\n0 60 15.5\n0 0 1\n")
    for k in range(6):
        (one / "rgb" / f"{k:06d}.png").write_bytes(image(k, 40, 32))
        (one / "pose" / f"{k:06d}.txt").write_text(" ".join(str(x) for x in matrix))
    found = read_instances(root, instances=("a",))
    camera = found.photos.cameras[0]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == pytest.approx((50, 60, 16, 16))
    assert (camera.width, camera.height) == (32, 32)
    assert (found.photos.truth.cam_from_world[2].t - POSES[0].t).abs().max() < 1e-6
    (one / "intrinsics.txt").write_text("50 1 19.5 0 60 15.5 0 0 1")
    with pytest.raises(ResectError, match="skew"):
        read_instances(root, instances=("a",))


def test_a_zip_file_is_unpacked_beside_itself_once(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("zipped")
    made = shutil.make_archive(str(tmp_path / "cars_train"), "zip", root.parent, root.name)
    for _ in range(2):
        found = read_instances(Path(made))
        assert found.names == read_instances(root).names
        assert found.photos.root.parent == tmp_path / "cars_train"
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(ResectError, match="whole zip"):
        read_instances(tmp_path / "text.zip")
