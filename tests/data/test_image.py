import io
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from resect.data.image import read_depth, read_header, read_image, read_mask, resize_area
from resect.errors import NotInstalledError, ResectError


def _gradient(width: int = 8, height: int = 6) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 20, y * 30, (x + y) * 10], -1).astype(np.uint8)


def test_rgb_is_unchanged(tmp_path: Path) -> None:
    Image.fromarray(_gradient()).save(tmp_path / "a.png")
    image, alpha = read_image(tmp_path / "a.png")
    assert alpha is None
    assert image.dtype == torch.float32
    np.testing.assert_array_equal((image * 255).round().numpy().astype(np.uint8), _gradient())


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "YCbCr", "LA", "RGBA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    name = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode).save(name)
    image, alpha = read_image(name)
    assert image.shape == (4, 5, 3)
    assert torch.allclose(image, torch.ones_like(image))
    assert (alpha is not None) == (mode in ("LA", "RGBA"))


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(tmp_path / "a.png")
    image, _ = read_image(tmp_path / "a.png")
    assert torch.allclose(image[0, :, 1], torch.tensor([0.0, 32768 / 65535, 1.0]))


def test_sixteen_bit_colour_keeps_its_range(tmp_path: Path) -> None:
    bgr = np.array([[[0, 32768, 65535]]], np.uint16)
    assert cv2.imwrite(str(tmp_path / "a.png"), bgr)
    image, _ = read_image(tmp_path / "a.png")
    assert torch.allclose(image[0, 0], torch.tensor([1.0, 0.5, 0.0]), atol=1 / 250)


def test_transparent_parts_are_laid_on_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[255, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)).save(tmp_path / "a.png")
    image, alpha = read_image(tmp_path / "a.png")
    assert alpha is not None
    assert torch.allclose(alpha[0], torch.tensor([1.0, 0.0, 0.2]))
    assert torch.allclose(image[0], torch.tensor([[1.0, 0, 0], [1, 1, 1], [0.8, 0.8, 0.8]]))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_opencv_does(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(_gradient(64, 48)).save(tmp_path / "a.jpg", exif=exif, quality=98)
    image, _ = read_image(tmp_path / "a.jpg")
    oracle = cv2.cvtColor(cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) / 255
    assert image.shape == oracle.shape
    assert np.abs(image.numpy() - oracle).max() < 0.02
    header = read_header(tmp_path / "a.jpg")
    assert header.upright == (image.shape[1], image.shape[0])
    stored, _ = read_image(tmp_path / "a.jpg", upright=False)
    assert stored.shape == (48, 64, 3)


def test_broken_files_are_named(tmp_path: Path) -> None:
    whole = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(whole, "JPEG")
    (tmp_path / "cut.jpg").write_bytes(whole.getvalue()[:1500])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    for name, said in (("cut.jpg", "cut short"), ("empty.jpg", "empty"), ("text.png", "not an image")):
        with pytest.raises(ResectError, match=said) as caught:
            read_image(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(ResectError, match="no file"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(ResectError, match="folder"):
        read_image(tmp_path)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b""))
    )
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(ResectError, match="megapixels"):
        read_image(tmp_path / "bomb.png")


def test_heic_without_its_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(b"ftypheic")
    with pytest.raises(NotInstalledError, match=r"resect\[heic\]"):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize("size", [(20, 10), (13, 7), (40, 30), (37, 30), (8, 30)])
def test_resize_area_agrees_with_opencv(size: tuple[int, int]) -> None:
    image = torch.rand(30, 40, 3, generator=torch.Generator().manual_seed(0))
    oracle = cv2.resize(image.numpy(), size, interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(resize_area(image, *size).numpy(), oracle, atol=2e-6)


def test_resize_area_keeps_the_mean_and_single_channels() -> None:
    image = torch.rand(31, 17, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    small = resize_area(image, 5, 9)
    assert small.shape == (9, 5)
    assert torch.allclose(small.mean(), image.mean(), atol=1e-14)
    large = resize_area(image, 34, 62)
    assert torch.allclose(large[1::2, ::2], image, atol=1e-12)


def test_depth_zero_and_65535_mean_none(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1500], [65535, 2]], np.uint16)).save(tmp_path / "d.png")
    depth = read_depth(tmp_path / "d.png", 0.001, 2, 2)
    assert torch.allclose(depth, torch.tensor([[0.0, 1.5], [0.0, 0.002]]))
    assert torch.allclose(read_depth(tmp_path / "d.png", 0.001, 4, 4)[:2, 2:], torch.tensor(1.5))


def test_mask_follows_size_and_orientation(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0, 255], [0, 9, 0]], np.uint8)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", 3, 2).tolist() == [[False, False, True], [False, True, False]]
    turned = read_mask(tmp_path / "m.png", 2, 3, orientation=6)
    assert turned.tolist() == [[False, False], [True, False], [False, True]]


def test_heic_is_read_upright_with_its_exif(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the heic extra is not installed")
    heif.register_heif_opener()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    Image.fromarray(_gradient(64, 48)).resize((640, 480)).save(tmp_path / "a.heic", exif=exif, quality=95)
    image, _ = read_image(tmp_path / "a.heic")
    assert image.shape == (480, 640, 3)
    assert read_header(tmp_path / "a.heic").exif[0xA405] == 26
