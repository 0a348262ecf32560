from pathlib import Path

import cv2
import numpy as np
import pytest
from captures import write_noise
from PIL import Image

from resect.data.capture import frames_of_video, is_video, upright_copies
from resect.data.image import read_header, read_image
from resect.errors import ResectError


def _video(path: Path, frames: list[np.ndarray]) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (frames[0].shape[1], frames[0].shape[0]))
    for frame in frames:
        writer.write(frame)
    writer.release()


def test_the_sharpest_frame_of_each_span_is_taken(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 255, (48, 64, 3), np.uint8)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    best = {3, 9, 14, 19}
    _video(tmp_path / "a.avi", [sharp if i in best else blurred for i in range(20)])
    assert is_video(tmp_path / "a.avi")
    notes = frames_of_video(tmp_path / "a.avi", tmp_path / "out", 4)
    assert {int(p.stem[6:]) for p in (tmp_path / "out").iterdir()} == best
    assert "4 of 20 frames" in notes[0]


def test_fewer_frames_than_asked_for_are_all_taken(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    _video(tmp_path / "a.avi", [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(5)])
    frames_of_video(tmp_path / "a.avi", tmp_path / "out", 100)
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_what_is_not_a_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with pytest.raises(ResectError, match="codec"):
        frames_of_video(tmp_path / "a.mp4", tmp_path / "out", 4)


def test_copies_are_upright_and_keep_the_focal_length(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_noise(folder / "plain.png", 40, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 28
    Image.new("RGB", (40, 30), (200, 30, 30)).save(folder / "side.jpg", exif=exif)
    write_noise(folder / "side.tif", 40, 30)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8")
    notes = upright_copies(folder, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["plain.png", "side-2.jpg", "side.jpg"]
    assert (tmp_path / "out" / "plain.png").read_bytes() == (folder / "plain.png").read_bytes()
    header = read_header(tmp_path / "out" / "side.jpg")
    assert (header.width, header.height, header.orientation) == (30, 40, 1)
    assert header.exif[0xA405] == 28
    assert read_image(tmp_path / "out" / "side.jpg")[0].shape == (40, 30, 3)
    assert len(notes) == 1
    assert notes[0].startswith("broken.jpg was left out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResectError, match="none"):
        upright_copies(tmp_path / "empty", tmp_path / "x")
    with pytest.raises(ResectError, match="nothing there"):
        upright_copies(tmp_path / "absent", tmp_path / "x")
