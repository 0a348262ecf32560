from pathlib import Path

import numpy as np
import pytest
import torch
from captures import write_noise

from resect.data import make_split, read
from resect.data.epipolar import find_features, match, sampson_error
from resect.errors import ResectError
from resect.geometry.camera import Camera


def _write(root: Path, rows: np.ndarray, folders: dict[str, tuple[int, int]]) -> None:
    np.save(root / "poses_bounds.npy", rows)
    for folder, size in folders.items():
        for i in range(len(rows)):
            write_noise(root / folder / f"{i}.png", *size)


def _row(near: float = 1.0, far: float = 9.0) -> np.ndarray:
    """A camera at (1, 2, 3) that looks along world -z with +y up: columns down, right, backward, centre."""
    matrix = np.array([[0, 1, 0, 1, 30], [-1, 0, 0, 2, 40], [0, 0, 1, 3, 50]], float)
    return np.concatenate([matrix.reshape(-1), [near, far]])


def test_axes_size_and_bounds(tmp_path: Path) -> None:
    _write(tmp_path, np.stack([_row(), _row(0.5, 7)]), {"images": (40, 30), "images_4": (10, 8)})
    photos = read(tmp_path)
    assert photos.format == "llff"
    assert photos.cameras[0] == Camera(50.0, 50.0, 20.0, 15.0, 40, 30)
    assert photos.world.depth_range == (0.5, 9.0)
    assert photos.notes == ("Photos are read from images; images_4 are not.",)
    point = torch.tensor([[1.2, 2.4, -1.0]], dtype=torch.float64)
    pixel, _ = photos.cameras[0].project(photos.truth.cam_from_world[0].apply(point))
    assert torch.allclose(pixel, torch.tensor([[20 + 50 * 0.05, 15 - 50 * 0.1]], dtype=torch.float64))


def test_reduced_photos_scale_the_focal_length_by_their_own_size(tmp_path: Path) -> None:
    _write(tmp_path, np.stack([_row()]), {"images_4": (10, 8)})
    camera = read(tmp_path).cameras[0]
    assert (camera.fx, camera.fy, camera.width, camera.height) == (12.5, pytest.approx(50 * 8 / 30), 10, 8)


def test_bad_files_are_errors(tmp_path: Path) -> None:
    bad = _row()
    bad[3] = np.nan
    mirrored = _row()
    mirrored[1] = -1
    for rows, said in (
        (np.stack([bad]), "NaN"),
        (np.stack([mirrored]), "determinant"),
        (np.stack([_row(5, 2)]), "near < far"),
        (np.stack([_row()[:15]]), "17 numbers"),
        (np.zeros((0, 17)), "17 numbers"),
    ):
        _write(tmp_path, rows, {"images": (40, 30)})
        write_noise(tmp_path / "images" / "0.png")
        with pytest.raises(ResectError, match=said):
            read(tmp_path)
    _write(tmp_path, np.stack([_row(), _row()]), {"images": (40, 30)})
    (tmp_path / "images" / "0.png").unlink()
    with pytest.raises(ResectError, match="1 in images"):
        read(tmp_path)
    (tmp_path / "poses_bounds.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr")
    with pytest.raises(ResectError, match=r"\.npy"):
        read(tmp_path)
    np.save(tmp_path / "poses_bounds.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ResectError, match=r"\.npy"):
        read(tmp_path)


@pytest.mark.real
def test_fern(real: Path) -> None:
    photos = read(real / "llff_fern")
    assert len(photos) == 20
    assert photos.cameras[0].fx == pytest.approx(3260.5263 / 8)
    split = make_split(photos)
    assert len(split.test) == 3
    i, j = split.train[0], split.train[1]
    a, b = find_features(photos[i]), find_features(photos[j])
    relative = photos.truth.cam_from_world[j] @ photos.truth.cam_from_world[i].inverse()
    error = sampson_error(*match(a, b), photos.cameras[i], photos.cameras[j], relative)
    assert len(error) > 80
    assert error.median() < 0.3
