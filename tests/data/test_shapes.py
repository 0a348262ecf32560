from pathlib import Path

import numpy as np
import pytest
import torch

from resect.data.shapes import ShapeSet, read_arrays, read_shapes, write_points
from resect.errors import ResectError


def model(tmp_path: Path, **arrays: np.ndarray) -> ShapeSet:
    folder = tmp_path / "chair" / "a"
    folder.mkdir(parents=True)
    (tmp_path / "chair" / "train.lst").write_text("a\n")
    np.savez(folder / "points.npz", **arrays)
    return read_shapes(tmp_path)


def test_the_released_layout(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(-0.55, 0.55, (1001, 3)).astype(np.float16)
    inside = points[:, 0] > 0
    shapes = model(tmp_path, points=points, occupancies=np.packbits(inside), loc=np.zeros(3), scale=np.array(1.0))
    found, truth = shapes.points(0)
    assert np.array_equal(found.numpy(), points.astype(np.float32))
    assert np.array_equal(truth.numpy(), inside)


def test_occupancies_may_be_plain_booleans(tmp_path: Path) -> None:
    points = np.zeros((5, 3), np.float32)
    shapes = model(tmp_path, points=points, occupancies=np.array([True, False, True, True, False]))
    assert shapes.points(0)[1].tolist() == [True, False, True, True, False]


@pytest.mark.parametrize(
    "arrays",
    [
        {"points": np.zeros((5, 3))},
        {"points": np.zeros((5, 2)), "occupancies": np.zeros(1, np.uint8)},
        {"points": np.full((5, 3), np.nan), "occupancies": np.zeros(1, np.uint8)},
        {"points": np.zeros((50, 3)), "occupancies": np.zeros(1, np.uint8)},
        {"points": np.array([{}, {}], dtype=object), "occupancies": np.zeros(1, np.uint8)},
    ],
)
def test_damaged_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    shapes = model(tmp_path, **arrays)
    with pytest.raises(ResectError, match=r"points\.npz"):
        shapes.points(0)


def test_files_that_are_no_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.npz"
    for data in (b"", b"PK\x03\x04 cut short", b"\x93NUMPY"):
        path.write_bytes(data)
        with pytest.raises(ResectError, match="whole"):
            read_arrays(path, {"points": (None, 3)})
    with pytest.raises(ResectError, match="no file"):
        read_arrays(tmp_path / "none.npz", {})


@pytest.mark.parametrize("name", ["../outside", "/etc", "a/b", ".."])
def test_no_path_leaves_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "chair").mkdir()
    (tmp_path / "chair" / "train.lst").write_text(f"{name}\n")
    with pytest.raises(ResectError, match="path"):
        read_shapes(tmp_path)


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="data shapes"):
        read_shapes(tmp_path)
    with pytest.raises(ResectError, match="no file"):
        read_shapes(tmp_path, "train", ["table"])


def test_written_points_are_bits(tmp_path: Path) -> None:
    inside = torch.rand(100) > 0.5
    write_points(tmp_path / "points.npz", torch.zeros(100, 3), inside)
    assert np.load(tmp_path / "points.npz")["occupancies"].nbytes == 13
