"""Raw material for structure from motion: upright copies of photos, the sharpest frames of a video."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resect.data.image import SUFFIXES, read_header, read_image
from resect.errors import ResectError

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")
_PLAIN_SUFFIXES = (".jpg", ".jpeg", ".png")
_MAX_FRAMES = 1_000_000


def is_video(path: Path) -> bool:
    """Whether a path is a video file, by its suffix."""
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


def upright_copies(source: Path, folder: Path) -> list[str]:
    """Copies the photos of a folder into another one, turned upright, and says what was left out.

    Upright JPEG and PNG files are copied as they are; others are written as JPEG with their EXIF data, so that the
    focal length stays known. Photos that cannot be read are left out.
    """
    if not source.is_dir():
        raise ResectError(
            source, "a folder of photos or a video file", "a file" if source.exists() else "nothing there"
        )
    files = sorted(p for p in source.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise ResectError(source, f"photos ({', '.join(SUFFIXES)}) or a video file", "none")
    folder.mkdir(parents=True, exist_ok=True)
    notes = []
    taken: set[str] = set()
    for file in files:
        try:
            header = read_header(file)
            image, _ = read_image(file)
        except ResectError as error:
            notes.append(f"{file.name} was left out: {error}")
            continue
        if header.orientation == 1 and file.suffix.lower() in _PLAIN_SUFFIXES:
            shutil.copyfile(file, folder / _free(file.name, taken))
        else:
            _write_jpeg(image, file, folder / _free(f"{file.stem}.jpg", taken))
    return notes


def frames_of_video(
    source: Path, folder: Path, max_frames: int, progress: Callable[[str, float], None] = lambda *_: None
) -> list[str]:
    """Writes the sharpest frame of each of `max_frames` equal spans of a video as `frame-000123.jpg`."""
    import cv2

    video: Any = cv2.VideoCapture(str(source))
    try:
        total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        if not video.isOpened() or not 2 <= total <= _MAX_FRAMES:
            raise ResectError(source, f"a video of 2 to {_MAX_FRAMES} frames", f"{total} frames or an unknown codec")
        folder.mkdir(parents=True, exist_ok=True)
        span = max(1.0, total / max_frames)
        best: tuple[float, int, Any] | None = None
        current = written = read = 0
        for index in range(total):
            good, frame = video.read()
            if not good:
                break
            read = index + 1
            if int(index / span) != current and best is not None:
                written += _write_frame(folder, best)
                best, current = None, int(index / span)
                progress("photos", index / total)
            sharpness = _sharpness(frame)
            if best is None or sharpness > best[0]:
                best = (sharpness, index, frame)
        if best is not None:
            written += _write_frame(folder, best)
    finally:
        video.release()
    notes = [f"{written} of {read} frames of {source.name} were taken, the sharpest of every {span:.1f}."]
    return notes + ([f"The video ends at frame {read} of {total}."] if read < total else [])


def _sharpness(frame: Any) -> float:
    import cv2

    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    scale = 480 / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    return float(cv2.Laplacian(small, cv2.CV_32F).var())


def _write_frame(folder: Path, best: tuple[float, int, Any]) -> int:
    import cv2

    _, index, frame = best
    path = folder / f"frame-{index:06d}.jpg"
    if not cv2.imwrite(str(path), frame, [cv2.IMWRITE_JPEG_QUALITY, 95]):
        raise ResectError(path, "room to write a frame", "an error", "Is the disk full?")
    return 1


def _write_jpeg(image: Any, source: Path, path: Path) -> None:
    from PIL import Image

    with Image.open(source) as original:
        exif = original.getexif()
        exif[0x0112] = 1
        pixels = (image * 255).round().byte().numpy()
        Image.fromarray(pixels).save(path, "JPEG", quality=95, exif=exif)


def _free(name: str, taken: set[str]) -> str:
    """The name, or one with a number where two photos would become the same file."""
    stem, suffix = name.rsplit(".", 1)
    number = 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.{suffix}"
    taken.add(name)
    return name
