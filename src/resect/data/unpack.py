"""Archives are hostile until unpacked: no path leaves the folder, no links, bounded sizes, nothing overwritten."""

import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from resect.errors import ResectError

_CHUNK = 1 << 20
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError),
    *(RuntimeError, NotImplementedError),  # encrypted, or packed in a way that Python does not know
)


def unpack(archive: Path, folder: Path, *, most_bytes: int, most_files: int = 2_000_000) -> int:
    """Unpacks a zip or tar file, and zip files that lie in it, and returns the number of files.

    Everything is unpacked beside `folder` first, so that an interruption leaves no half of it.

    Args:
        archive: the file.
        folder: a folder that does not exist yet.
        most_bytes: of all files together, as they are written, whatever the archive says of their sizes.
        most_files: in all.

    Raises:
        ResectError: not an archive, a damaged one, or one that does what it must not.
    """
    if folder.exists():
        raise ResectError(folder, "a folder that does not exist yet", "an existing one")
    work = folder.with_name(f".{folder.name}.unpacking")
    if work.is_symlink():
        raise ResectError(work, "a folder of resect's own", "a link", "Remove it.")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    room = _Room(archive, most_bytes, most_files)
    try:
        _into(archive, work, room)
        for inner in sorted(p for p in work.rglob("*.zip") if p.is_file()):
            _into(inner, inner.parent, room)
            inner.unlink()
        os.replace(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return room.files


class _Room:
    """What is left of the bounds."""

    def __init__(self, archive: Path, most_bytes: int, most_files: int) -> None:
        self.archive, self.most_bytes, self.most_files = archive, most_bytes, most_files
        self.bytes = self.files = 0

    def take(self, size: int, *, files: int = 0) -> None:
        self.bytes, self.files = self.bytes + size, self.files + files
        if self.bytes > self.most_bytes or self.files > self.most_files:
            expected = f"at most {self.most_bytes} bytes in {self.most_files} files"
            raise ResectError(self.archive, expected, "more", "It is not what it should be; nothing was kept.")


def _into(archive: Path, folder: Path, room: _Room) -> None:
    try:
        for name, source in _members(archive):
            target = _target(archive, folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            room.take(0, files=1)
            with target.open("xb") as file:
                while chunk := source.read(_CHUNK):
                    room.take(len(chunk))
                    file.write(chunk)
    except FileExistsError as error:
        raise ResectError(archive, "each file once", f"'{error.filename}' twice") from None
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the archive's
        raise ResectError(archive, "a whole zip or tar file", str(error), "Fetch it again.") from None


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and contents of the plain files; folders are made as needed, anything else is refused."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                kind = info.external_attr >> 16 & 0o170000
                if kind == 0o120000:
                    raise ResectError(archive, "files and folders", f"a link, '{info.filename[:80]}'")
                if not info.is_dir():
                    with zipped.open(info) as source:
                        yield info.filename, source
        return
    with tarfile.open(archive) as tarred:
        for member in tarred:
            if member.isdir():
                continue
            content = tarred.extractfile(member) if member.isreg() else None
            if content is None:
                raise ResectError(archive, "files and folders", f"a link or device, '{member.name[:80]}'")
            with content:
                yield member.name, content


def _target(archive: Path, folder: Path, name: str) -> Path:
    path = PurePosixPath(name.replace("\\", "/"))
    odd = path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name or not path.parts
    if odd or not (folder / path).resolve().is_relative_to(folder.resolve()):
        raise ResectError(archive, "paths inside the archive's folder", f"'{name[:80]}'", "Do not use this archive.")
    return folder / path
