"""Image files as RGB tensors: upright, whole, bounded, whatever their mode; and resizing by exact area average."""

import io
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from resect.data.turn import turn_image
from resect.errors import NotInstalledError, ResectError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 170_000_000
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".heic", ".heif")
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Header:
    """What an image file says before it is decoded.

    Attributes:
        width: stored width in pixels, before EXIF orientation.
        height: stored height in pixels, before EXIF orientation.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
        exif: EXIF tags by number, those of the camera sub-directory included.
        transparent: whether parts of it may be.
    """

    width: int
    height: int
    orientation: int
    exif: dict[int, object]
    transparent: bool = False

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height after EXIF orientation."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_header(path: Path | str) -> Header:
    """Size, orientation, EXIF tags and transparency of an image file, without decoding it."""
    with _opened(Path(path)) as image:
        exif = _exif(image)
        orientation = exif.get(_ORIENTATION_TAG, 1)
        known = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
        return Header(image.width, image.height, known, exif, _see_through(image))


def read_image(path: Path | str, *, upright: bool = True) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w"] | None]:
    """RGB in [0, 1], and opacity where the file has any; transparent parts are laid on white.

    Takes grey, palette, RGBA, CMYK, 16-bit and float files.

    Args:
        path: the image file.
        upright: turn by the EXIF orientation, as every viewer does.

    Raises:
        ResectError: the file is missing, empty, cut short, too large, or not an image.
    """
    path = Path(path)
    orientation = read_header(path).orientation if upright else 1
    with _opened(path) as image:
        decoded = np.ascontiguousarray(_decoded(image, path))
    values = turn_image(torch.from_numpy(decoded), orientation)
    if values.shape[-1] == 3:
        return values, None
    rgb, alpha = values[..., :3], values[..., 3]
    return rgb * alpha[..., None] + (1 - alpha[..., None]), alpha


def read_mask(path: Path | str, width: int, height: int, orientation: int = 1) -> Bool[Tensor, "h w"]:
    """True where a mask image is not black, at another size if need be (nearest pixel)."""
    with _opened(Path(path)) as image:
        values = np.asarray(image.convert("L")) > 0
    return _resize_nearest(turn_image(torch.from_numpy(values), orientation), width, height)


def read_depth(
    path: Path | str, units_per_count: float, width: int, height: int, orientation: int = 1
) -> Float[Tensor, "h w"]:
    """Depth along the optical axis from a 16-bit image, in world units; 0 where the file holds 0 or 65535.

    Args:
        path: 16-bit (or float) single-channel image.
        units_per_count: world units per stored number, e.g. 0.001 for millimetres in a metric world.
        width: width of the photo that the depth belongs to; nearest pixel where it differs.
        height: its height.
        orientation: EXIF orientation of the photo, where the depth is turned with it.
    """
    path = Path(path)
    with _opened(path) as image:
        if image.mode not in ("I", "I;16", "I;16B", "I;16L", "F", "L"):
            raise ResectError(path, "a depth image with one channel", f"mode {image.mode}")
        values = torch.from_numpy(np.asarray(image).astype(np.float32))
    none = ~values.isfinite() | (values <= 0) | (values >= 65535)
    depth = torch.where(none, torch.zeros_like(values), values * units_per_count)
    return _resize_nearest(turn_image(depth, orientation), width, height)


def png_bytes(values: UInt8[Tensor, "h w *c"] | Float[Tensor, "h w"]) -> bytes:
    """A PNG file: bytes as grey or RGB, floating-point numbers as whole ones of 16 bits."""
    from PIL import Image

    pixels = values.numpy()
    data = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint16) if values.dtype.is_floating_point else pixels).save(data, "PNG")
    return data.getvalue()


def resize_area(image: Float[Tensor, "h w *c"], width: int, height: int) -> Float[Tensor, "height width *c"]:
    """Resizes by the exact average over each new pixel's area, so that K scales linearly with it.

    A new pixel that covers parts of old ones takes them in proportion. Enlarging repeats pixels, with blended seams.
    """
    if width < 1 or height < 1:
        raise ResectError("resize_area", "a positive size", f"{width}x{height}")
    return _average_along(_average_along(image, 0, height), 1, width)


def _average_along(image: Tensor, axis: int, count: int) -> Tensor:
    size = image.shape[axis]
    if count == size:
        return image
    if size % count == 0:
        return image.unflatten(axis, (count, size // count)).mean(axis + 1)
    first, weight = _overlaps(size, count)
    shape = [1] * image.ndim
    shape[axis] = count
    result = image.new_zeros(*image.shape[:axis], count, *image.shape[axis + 1 :])
    for k in range(weight.shape[1]):
        taken = image.index_select(axis, (first + k).clamp_max(size - 1).to(image.device))
        result += taken * weight[:, k].to(image).view(shape)
    return result


def _overlaps(size: int, count: int) -> tuple[Int[Tensor, "count"], Float[Tensor, "count taps"]]:
    """The first old pixel that each of `count` new ones covers, and the shares of it and of those after it."""
    edge = torch.arange(count + 1, dtype=torch.float64) * (size / count)
    left, right = edge[:-1, None], edge[1:, None]
    first = (edge[:-1] + 1e-9).floor().long()
    pixel = first[:, None] + torch.arange(math.ceil(size / count) + 1)
    covered = (torch.minimum(right, pixel + 1) - torch.maximum(left, pixel.double())).clamp_min(0)
    return first, covered / covered.sum(1, keepdim=True)


def _resize_nearest(image: Tensor, width: int, height: int) -> Tensor:
    h, w = image.shape[:2]
    if (w, h) == (width, height):
        return image
    rows = ((torch.arange(height) + 0.5) * h / height).long()
    columns = ((torch.arange(width) + 0.5) * w / width).long()
    return image[rows][:, columns]


@contextmanager
def _opened(path: Path) -> "Iterator[Image]":
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise ResectError(path, "an image file", "a folder" if path.is_dir() else "no file")
    if path.suffix.lower() in (".heic", ".heif"):
        _register_heif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning and notes on odd EXIF; the bound is below
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise _too_large(path, f"{image.width}x{image.height}")
                yield image
    except ResectError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(path, "a larger one") from None
    except UnidentifiedImageError:
        got = "an empty file" if path.stat().st_size == 0 else "something that is not an image"
        raise ResectError(path, "an image (JPEG, PNG, WebP, TIFF, HEIC …)", got) from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        fix = "The file is cut short or damaged; copy it again."
        raise ResectError(path, "a whole image file", str(error) or type(error).__name__, fix) from None


def _too_large(path: Path, got: str) -> ResectError:
    return ResectError(path, f"an image of at most {MAX_PIXELS // 10**6} megapixels", got, "Make it smaller first.")


def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise NotInstalledError("pillow-heif", "heic", "reading HEIC photos") from None
    register_heif_opener()


def _exif(image: "Image") -> dict[int, object]:
    if image.format == "PNG" and "exif" not in image.info:
        return {}  # asking would decode the whole file
    try:
        tags = image.getexif()
        return {**dict(tags), **dict(tags.get_ifd(0x8769))}
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, struct.error):
        return {}


def _decoded(image: "Image", path: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """(h, w, 3 or 4) in [0, 1]."""
    if image.mode.startswith("I"):
        counts = np.asarray(image).astype(np.float32)
        return np.repeat((counts / 65535.0).clip(0, 1)[..., None], 3, -1)
    if image.mode == "F":
        grey = np.asarray(image, dtype=np.float32)
        if not np.isfinite(grey).all() or grey.min() < 0 or grey.max() > 1:
            raise ResectError(path, "float pixels in [0, 1]", "others", "Save it as an ordinary 8- or 16-bit image.")
        return np.repeat(grey[..., None], 3, -1)
    mode = "RGBA" if _see_through(image) else "RGB"
    return np.asarray(image.convert(mode), dtype=np.float32) / np.float32(255)


def _see_through(image: "Image") -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
