"""Downloads with a checksum: bounded, resumed where the server allows it, never over an existing file."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resect.errors import ResectError

_CHUNK = 1 << 20
_TIMEOUT_S = 60
_SCHEMES = ("https://", "http://", "file://")


def fetch(
    url: str,
    to: Path,
    *,
    most_bytes: int,
    sha256: str = "",
    progress: Callable[[float], None] = lambda share: None,
) -> str:
    """Downloads a file and returns its SHA-256.

    What arrives is kept in `NAME.part` until it is whole and has the checksum; the same call again goes on there.

    Args:
        url: https, http or file address.
        to: the file to make.
        most_bytes: more than this is refused, whatever the server announces.
        sha256: what is expected, if known.
        progress: told the share that has arrived, where the size is known.

    Raises:
        ResectError: the address cannot be read, or what it gives is too large or another file than expected.
    """
    if not url.startswith(_SCHEMES):
        raise ResectError(url, "an address that begins with https://, http:// or file://", "another")
    if to.exists():
        raise ResectError(to, "a file that does not exist yet", "an existing one")
    part = to.with_name(to.name + ".part")
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(url, part, most_bytes, progress)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        fix = "Check the connection and the address; the same command goes on from what has arrived."
        raise ResectError(url, "a file to download", str(getattr(error, "reason", error)), fix) from None
    found = checksum(part)
    if sha256 and found != sha256.lower():
        part.unlink()
        fix = "Try again; if the publisher changed the file and you trust it, give --sha256 with what was got."
        raise ResectError(url, f"SHA-256 {sha256.lower()}", found, fix)
    os.replace(part, to)
    return found


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, part: Path, most_bytes: int, progress: Callable[[float], None]) -> None:
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "resect", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        answer: Any = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send
            return
        raise
    with answer:
        resumed = have > 0 and getattr(answer, "status", None) == 206
        have = have if resumed else 0
        announced = answer.headers.get("Content-Length")
        total = have + int(announced) if announced is not None and announced.isdigit() else None
        if total is not None and total > most_bytes:
            raise _too_large(url, most_bytes, total)
        with part.open("ab" if resumed else "wb") as file:
            while chunk := answer.read(_CHUNK):
                have += len(chunk)
                if have > most_bytes:
                    raise _too_large(url, most_bytes, have)
                file.write(chunk)
                if total:
                    progress(have / total)
        if total is not None and have < total:
            raise ConnectionError(f"the connection ended after {have} of {total} bytes")


def _too_large(url: str, most: int, got: int) -> ResectError:
    return ResectError(url, f"at most {most} bytes", f"{got} or more", "It is not what it should be; it was left.")
