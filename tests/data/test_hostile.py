"""Whatever a file holds, a reader gives photos or a `ResectError`; never another exception, never a read outside."""

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captures import write_noise
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from resect.data import read
from resect.data.camera_file import read_camera
from resect.data.colmap import read_cameras, read_images
from resect.data.image import read_header, read_image
from resect.data.pose_list import read_pose_list
from resect.data.trajectory import read_trajectory
from resect.errors import ResectError

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
QUICK = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
TOP_KEYS = ["fl_x", "fl_y", "cx", "cy", "w", "h", "k1", "k4", "camera_model", "camera_angle_x", "frames", "is_fisheye"]
TOP_KEYS += ["depth_unit_scale_factor", "meters_per_unit", "train_filenames"]
FRAME_KEYS = ["file_path", "transform_matrix", "fl_x", "mask_path", "depth_file_path", "camera_model", "w"]


def _only_resect_errors(call: Any) -> None:
    with contextlib.suppress(ResectError):
        call()


@QUICK
@given(key=st.sampled_from(TOP_KEYS), value=JUNK, in_frame=st.none() | st.sampled_from(FRAME_KEYS))
@example(key="w", value=1e308, in_frame=None)
@example(key="w", value=0.2, in_frame=None)
@example(key="fl_x", value=1e-300, in_frame=None)
@example(key="meters_per_unit", value=[], in_frame=None)
@example(key="train_filenames", value=5, in_frame=None)
def test_transforms(tmp_path: Path, key: str, value: Any, in_frame: str | None) -> None:
    if not (tmp_path / "a.png").exists():
        write_noise(tmp_path / "a.png")
    frame = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}
    facts: dict[str, Any] = {"fl_x": 50, "w": 40, "h": 30, "frames": [frame]}
    (facts if in_frame is None else frame)[in_frame or key] = value
    (tmp_path / "transforms.json").write_text(json.dumps(facts))
    _only_resect_errors(lambda: read(tmp_path)[0])


@QUICK
@given(text=st.text(alphabet="0123456789 .-einfax\n#", max_size=120))
def test_text_formats(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    (tmp_path / "cameras.txt").write_text(text)
    (tmp_path / "images.txt").write_text(text)
    for reader in (read_pose_list, read_trajectory):
        _only_resect_errors(lambda r=reader: r(tmp_path / "x.txt"))  # type: ignore[misc]
    for reader in (read_cameras, read_images):
        _only_resect_errors(lambda r=reader: r(tmp_path / f"{r.__name__.removeprefix('read_')}.txt"))  # type: ignore[misc]
    frame = tmp_path / "seq"
    frame.mkdir(exist_ok=True)
    if not (frame / "frame-000000.color.png").exists():
        write_noise(frame / "frame-000000.color.png", 64, 48)
    (frame / "frame-000000.pose.txt").write_text(text)
    _only_resect_errors(lambda: read(frame))


@QUICK
@given(data=st.binary(max_size=200), count=st.integers(0, 2**64 - 1))
def test_binary_formats(tmp_path: Path, data: bytes, count: int) -> None:
    for name, reader in (("cameras.bin", read_cameras), ("images.bin", read_images)):
        (tmp_path / name).write_bytes(struct.pack("<Q", count % 4 if count % 2 else count) + data)
        _only_resect_errors(lambda r=reader, n=name: r(tmp_path / n))  # type: ignore[misc]


@QUICK
@given(value=st.dictionaries(st.sampled_from(["fx", "fy", "cx", "cy", "width", "height", "model", "frames"]), JUNK))
def test_camera_json(tmp_path: Path, value: Any) -> None:
    (tmp_path / "c.json").write_text(json.dumps(value))
    _only_resect_errors(lambda: read_camera(tmp_path / "c.json"))


@QUICK
@given(seed=st.integers(0, 10**6), suffix=st.sampled_from([".png", ".jpg", ".tif", ".webp", ".bmp"]))
def test_damaged_images(tmp_path: Path, seed: int, suffix: str) -> None:
    source = tmp_path / f"whole{suffix}"
    if not source.exists():
        write_noise(source, 32, 24)
    data = bytearray(source.read_bytes())
    rng = np.random.default_rng(seed)
    for _ in range(int(rng.integers(1, 20))):
        data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
    damaged = tmp_path / f"damaged{suffix}"
    damaged.write_bytes(bytes(data[: int(rng.integers(1, len(data) + 1))]))
    _only_resect_errors(lambda: read_header(damaged))
    _only_resect_errors(lambda: read_image(damaged))


def test_a_folder_named_like_an_image_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    frame = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}
    (tmp_path / "transforms.json").write_text(json.dumps({"fl_x": 50, "frames": [frame]}))
    with pytest.raises(ResectError, match="none of 1"):
        read(tmp_path)
