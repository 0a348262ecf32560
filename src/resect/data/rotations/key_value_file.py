"""LMDB's `data.mdb` read without LMDB: a B+ tree of pages in one file, taken as hostile.

Pages are addressed by number; branch pages lead to others by the first key of each, leaf pages hold the values, and
what does not fit lies in overflow pages of its own.

Reference: lmdb.h and mdb.c of OpenLDAP (format version 1, 64-bit, little-endian).
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from resect.errors import ResectError

_MAGIC, _HEAD = 0xBEEFC0DE, 16
_BRANCH, _LEAF, _OVERFLOW, _META, _BIG = 1, 2, 4, 8, 1
_DEEPEST = 64


class KeyValueFile:
    """An LMDB environment's main database, read only.

    Args:
        path: `data.mdb`, or the folder that holds it.

    Raises:
        ResectError: no such file, another format, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / "data.mdb" if path.is_dir() else path
        if not self.path.is_file() or self.path.stat().st_size < 2 * 512:
            fix = "Unpack that part of the release whole, or name another --split."
            raise ResectError(self.path, "an LMDB file", "no file" if not self.path.is_file() else "a short one", fix)
        with self.path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        first = self._meta(0)
        self._page = first[0]
        best = max(first, self._meta(self._page), key=lambda meta: meta[1])
        self._root, self.entries = best[2], best[3]

    def __len__(self) -> int:
        return self.entries

    def __getitem__(self, key: bytes) -> bytes:
        page = self._root if self.entries else None
        for _ in range(_DEEPEST):
            if page is None:
                raise KeyError(key)
            flags, nodes = self._nodes(page)
            if flags & _LEAF:
                found = next((node for node in nodes if self._key(node) == key), None)
                if found is None:
                    raise KeyError(key)
                return self._value(found)
            page = self._child(next((n for n in reversed(nodes[1:]) if self._key(n) <= key), nodes[0]))
        raise self._damaged("a tree without end")

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys with their values, in the order of the keys."""
        if self.entries:
            yield from self._below(self._root, 0)

    def _below(self, page: int, depth: int) -> Iterator[tuple[bytes, bytes]]:
        if depth > _DEEPEST:
            raise self._damaged("a tree without end")
        flags, nodes = self._nodes(page)
        for node in nodes:
            if flags & _LEAF:
                yield self._key(node), self._value(node)
            else:
                yield from self._below(self._child(node), depth + 1)

    def _meta(self, offset: int) -> tuple[int, int, int, int]:
        """Page size, number of the last transaction, root page and number of entries."""
        flags = self._read("<H", offset + 10)[0]
        magic, version = self._read("<II", offset + _HEAD)
        if magic != _MAGIC or version != 1 or not flags & _META:
            fix = "Copy it again; LMDB files of big-endian or 32-bit machines are not read."
            raise ResectError(self.path, "an LMDB file of format 1", "another file", fix)
        size = self._read("<I", offset + _HEAD + 24)[0]
        entries, root = self._read("<QQ", offset + _HEAD + 72 + 32)
        if size not in [2**k for k in range(9, 17)]:
            raise self._damaged(f"pages of {size} bytes")
        return size, self._read("<Q", offset + _HEAD + 128)[0], root, entries

    def _nodes(self, page: int) -> tuple[int, list[int]]:
        """A page's flags and where its nodes lie in the file."""
        start = page * self._page
        flags, lower = self._read("<HH", start + 10)
        if not flags & (_BRANCH | _LEAF) or not _HEAD <= lower <= self._page:
            raise self._damaged(f"page {page} is none of a tree")
        places = self._read(f"<{(lower - _HEAD) // 2}H", start + _HEAD)
        if not places or not all(_HEAD <= p <= self._page - 8 for p in places):
            raise self._damaged(f"page {page} is empty or its nodes lie outside")
        return flags, [start + p for p in places]

    def _key(self, node: int) -> bytes:
        size = self._read("<H", node + 6)[0]
        return self._cut(node + 8, size)

    def _child(self, node: int) -> int:
        low, middle, high = self._read("<HHH", node)
        return int(low | middle << 16 | high << 32)

    def _value(self, node: int) -> bytes:
        low, high, flags, key_size = self._read("<HHHH", node)
        size = low | high << 16
        if not flags & _BIG:
            return self._cut(node + 8 + key_size, size)
        start = self._read("<Q", node + 8 + key_size)[0] * self._page
        if not self._read("<H", start + 10)[0] & _OVERFLOW:
            raise self._damaged("a value that lies nowhere")
        return self._cut(start + _HEAD, size)

    def _read(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(form, self._bytes, at)
        except struct.error:
            raise self._damaged("it ends too early") from None

    def _cut(self, at: int, size: int) -> bytes:
        if at + size > len(self._bytes):
            raise self._damaged("it ends too early")
        return self._bytes[at : at + size]

    def _damaged(self, got: str) -> ResectError:
        return ResectError(self.path, "a whole LMDB file", got, "Copy it again.")
