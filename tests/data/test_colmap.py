"""Our COLMAP reader and writer against COLMAP's own."""

import struct
from pathlib import Path

import numpy as np
import pycolmap
import pytest
import torch
from captures import ring, write_noise

from resect.data import read
from resect.data.colmap import read_cameras, read_images, write_colmap
from resect.errors import ResectError
from resect.geometry.camera import Camera
from resect.types import PhotoSet

MODELS = {
    "SIMPLE_PINHOLE": [50, 20, 15],
    "PINHOLE": [50, 51, 20.5, 14],
    "SIMPLE_RADIAL": [50, 20, 15, 0.1],
    "RADIAL": [50, 20, 15, 0.1, -0.02],
    "OPENCV": [50, 51, 20, 15, 0.1, -0.02, 0.003, -0.004],
    "OPENCV_FISHEYE": [50, 51, 20, 15, 0.1, -0.02, 0.003, -0.004],
    "FULL_OPENCV": [50, 51, 20, 15, 0.1, -0.02, 0.003, -0.004, 0.01, 0.02, 0.001, 0.002],
    "SIMPLE_RADIAL_FISHEYE": [50, 20, 15, 0.1],
    "RADIAL_FISHEYE": [50, 20, 15, 0.1, 0.02],
    "SIMPLE_FISHEYE": [50, 20, 15],
    "FISHEYE": [50, 51, 20, 15],
}


def _synthetic(folder: Path, binary: bool) -> pycolmap.Reconstruction:
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig, options.num_points3D = 1, 2, 4, 20
    options.camera_width, options.camera_height = 64, 48
    pycolmap.set_random_seed(1)
    model = pycolmap.synthesize_dataset(options)
    (folder / "sparse" / "0").mkdir(parents=True)
    (model.write_binary if binary else model.write_text)(folder / "sparse" / "0")
    for image in model.images.values():
        write_noise(folder / "images" / image.name, 64, 48)
    return model


@pytest.mark.parametrize("binary", [True, False])
def test_reads_what_colmap_writes(tmp_path: Path, binary: bool) -> None:
    model = _synthetic(tmp_path, binary)
    photos = read(tmp_path)
    assert photos.format == ("colmap (binary)" if binary else "colmap (text)")
    by_name = {f"images/{image.name}": image for image in model.images.values()}
    assert set(photos.names) == set(by_name)
    generator = torch.Generator().manual_seed(0)
    for i, name in enumerate(photos.names):
        image = by_name[name]
        theirs = image.cam_from_world().matrix()
        ours = photos.truth.cam_from_world[i].matrix()[:3].numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
        points = torch.randn(20, 3, generator=generator, dtype=torch.float64) + torch.tensor([0.0, 0.0, 5.0])
        pixels, _ = photos.cameras[i].project(points)
        oracle = model.cameras[image.camera_id].img_from_cam(points.numpy())
        seen = (pixels >= 0).all(-1)
        assert seen.any()
        np.testing.assert_allclose(pixels[seen].numpy(), np.array(oracle)[seen.numpy()], atol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_every_lens_projects_as_colmap_does(tmp_path: Path, model: str) -> None:
    line = " ".join(str(v) for v in MODELS[model])
    (tmp_path / "cameras.txt").write_text(f"# comment\n7 {model} 40 30 {line}\n")
    camera = read_cameras(tmp_path / "cameras.txt")[7]
    oracle = pycolmap.Camera(model=model, width=40, height=30, params=MODELS[model])
    points = torch.tensor([[0.1, 0.05, 1.0], [-0.3, 0.2, 1.1], [0.0, 0.0, 2.0], [0.25, -0.2, 0.9]], dtype=torch.float64)
    np.testing.assert_allclose(camera.project(points)[0].numpy(), oracle.img_from_cam(points.numpy()), atol=1e-9)


@pytest.mark.parametrize(
    "camera",
    [
        Camera(50.0, 52.0, 20.5, 14.0, 40, 30),
        Camera(50.0, 52.0, 20.5, 14.0, 40, 30, "opencv", (0.05, -0.02, 0.001, -0.002)),
        Camera(50.0, 52.0, 20.5, 14.0, 40, 30, "opencv", (0.05, -0.02, 0.001, -0.002, 0.1, 0.02, 0.0, 0.01)),
        Camera(50.0, 52.0, 20.5, 14.0, 40, 30, "fisheye", (0.05, -0.02, 0.001, -0.002)),
    ],
)
def test_colmap_reads_what_we_write(tmp_path: Path, camera: Camera) -> None:
    photos = ring(4, tmp_path, camera)
    write_colmap(photos, tmp_path / "sparse" / "0")
    model = pycolmap.Reconstruction(tmp_path / "sparse" / "0")
    assert len(model.cameras) == 1
    points = torch.tensor([[0.5, 0.1, 0.2], [0.4, 0.0, 0.3]], dtype=torch.float64)
    for image in model.images.values():
        i = photos.names.index(f"images/{image.name}")
        ours, _ = camera.project(photos.truth.cam_from_world[i].apply(points))
        theirs = [image.project_point(p) for p in points.numpy()]
        np.testing.assert_allclose(ours.numpy(), np.array(theirs), atol=1e-9)
    again = read(tmp_path)
    assert again.names == photos.names
    assert again.cameras == photos.cameras
    assert (again.truth.cam_from_world.matrix() - photos.truth.cam_from_world.matrix()).abs().max() < 1e-12


def _model(folder: Path, cameras: str, images: str) -> None:
    (folder / "cameras.txt").write_text(cameras)
    (folder / "images.txt").write_text(images)


def test_bad_text_is_named(tmp_path: Path) -> None:
    write_noise(tmp_path / "images" / "a b.png")
    good = "1 PINHOLE 40 30 50 50 20 15\n"
    _model(tmp_path, good, "1 1 0 0 0 0 0 0 1 a b.png\n\n")
    assert read(tmp_path).names == ("images/a b.png",)
    for cameras, images, said in (
        ("1 FOV 40 30 50 50 20 15 0.1\n", "1 1 0 0 0 0 0 0 1 a b.png\n\n", "Undistort"),
        ("1 PINHOLE 40 30 50 50 20\n", "1 1 0 0 0 0 0 0 1 a b.png\n\n", "4 numbers"),
        ("1 PINHOLE 40 30 50 nan 20 15\n", "1 1 0 0 0 0 0 0 1 a b.png\n\n", r"cameras\.txt:1"),
        ("", "1 1 0 0 0 0 0 0 1 a b.png\n\n", "at least one camera"),
        (good, "1 0.5 0 0 0 0 0 0 1 a b.png\n\n", "unit quaternion"),
        (good, "1 1 0 0 0 0 inf 0 1 a b.png\n\n", r"images\.txt:1"),
        (good, "1 1 0 0 0 0 0 0 2 a b.png\n\n", "number 2"),
        (good, "1 1 0 0 0 0 0 0 1 ../../a.png\n\n", "inside"),
        (good, "1 1 0 0 0 0 0\n\n", "IMAGE_ID"),
        (good, "", "at least one registered"),
    ):
        _model(tmp_path, cameras, images)
        with pytest.raises(ResectError, match=said):
            read(tmp_path)


def test_a_cut_binary_file_is_an_error_at_every_byte(tmp_path: Path) -> None:
    _synthetic(tmp_path, binary=True)
    for name, reader in (("cameras.bin", read_cameras), ("images.bin", read_images)):
        path = tmp_path / "sparse" / "0" / name
        whole = path.read_bytes()
        step = max(1, len(whole) // 100)
        for end in range(0, len(whole) - 1, step):
            path.write_bytes(whole[:end])
            with pytest.raises(ResectError, match=name):
                reader(path)


def test_a_count_beyond_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images.bin").write_bytes(struct.pack("<Q", 2**60) + b"\0" * 100)
    with pytest.raises(ResectError, match="room"):
        read_images(tmp_path / "images.bin")
    body = struct.pack("<IdddddddI", 1, 1, 0, 0, 0, 0, 0, 0, 1) + b"a.png\0" + struct.pack("<Q", 2**61)
    (tmp_path / "images.bin").write_bytes(struct.pack("<Q", 1) + body)
    with pytest.raises(ResectError, match="whole COLMAP"):
        read_images(tmp_path / "images.bin")


def test_swapped_quaternions_are_said(tmp_path: Path) -> None:
    photos = ring(12, tmp_path)
    write_colmap(photos, tmp_path / "sparse" / "0")
    assert read(tmp_path).notes == ()
    path = tmp_path / "sparse" / "0" / "images.txt"
    lines = [line.split() for line in path.read_text().splitlines()]
    swapped = [" ".join([w[0], *w[2:5], w[1], *w[5:]]) if w else "" for w in lines]
    path.write_text("\n".join(swapped) + "\n")
    assert "look swapped" in " ".join(read(tmp_path).notes)


def test_writes_shared_folders_off_and_two_cameras(photos: PhotoSet, tmp_path: Path) -> None:
    write_colmap(photos, tmp_path / "m")
    assert "images/" not in (tmp_path / "m" / "images.txt").read_text()
