"""Downloads and archives, from files and from a server of the test's own; nothing leaves the machine."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from resect.data import catalog
from resect.data.catalog import DATASETS, Dataset
from resect.data.fetch import fetch
from resect.data.get import get
from resect.data.unpack import unpack
from resect.errors import ResectError

CONTENT = bytes(range(256)) * 20_000
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server(HTTPServer):
    cut: int = 0
    ranges: list[str | None]

    def handle_error(self, *_: object) -> None:
        pass  # clients that hang up are what is tested


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if first >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - first))
        self.end_headers()
        last = self.server.cut or len(CONTENT)
        self.server.cut = 0
        self.wfile.write(CONTENT[first:last])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as found:
        found.ranges = []
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}/data.bin"


def test_a_cut_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cut = 1_000_000
    with pytest.raises(ResectError, match="goes on"):
        fetch(address(server), tmp_path / "x", most_bytes=1 << 30, sha256=SUM)
    assert not (tmp_path / "x").exists()
    seen: list[float] = []
    assert fetch(address(server), tmp_path / "x", most_bytes=1 << 30, sha256=SUM, progress=seen.append) == SUM
    assert server.ranges == [None, "bytes=1000000-"]
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert seen[-1] == 1.0
    assert not (tmp_path / "x.part").exists()


def test_another_file_or_a_larger_one_is_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="SHA-256"):
        fetch(address(server), tmp_path / "x", most_bytes=1 << 30, sha256="0" * 64)
    with pytest.raises(ResectError, match="at most 1000 bytes"):
        fetch(address(server), tmp_path / "x", most_bytes=1000)
    for wrong in ("ftp://x/y", "/etc/passwd", f"file://{tmp_path}/none", "http://127.0.0.1:9/x"):
        with pytest.raises(ResectError):
            fetch(wrong, tmp_path / "x", most_bytes=1000)
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ResectError, match="existing"):
        fetch(address(server), tmp_path / "x", most_bytes=1 << 30)
    assert (tmp_path / "x").read_text() == "mine"


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_zip_in_zip_and_tar_are_unpacked(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"seq-01/a.txt": b"a"}).read_bytes()
    archive = zipped(tmp_path / "outer.zip", {"room/seq-01.zip": inner, "room/list.txt": b"l"})
    assert unpack(archive, tmp_path / "out", most_bytes=10_000) == 3
    found = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"room/seq-01/a.txt", "room/list.txt"}
    archive = tarred(tmp_path / "x.tgz", [(tarfile.TarInfo("d/b.txt"), b"b")])
    unpack(archive, tmp_path / "two", most_bytes=10)
    assert (tmp_path / "two" / "d" / "b.txt").read_bytes() == b"b"
    with pytest.raises(ResectError, match="existing"):
        unpack(archive, tmp_path / "two", most_bytes=10)


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize("name", ["../up.txt", "/abs.txt", "a/../../up.txt", "..\\up.txt", "C:/x.txt"])
def test_paths_stay_inside(tmp_path: Path, name: str) -> None:
    work = tmp_path / "deep" / "deeper"
    work.mkdir(parents=True)
    for archive in (zipped(work / "x.zip", {name: b"!"}), tarred(work / "x.tgz", [(tarfile.TarInfo(name), b"!")])):
        with pytest.raises(ResectError, match="inside"):
            unpack(archive, work / "out", most_bytes=1000)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["x.tgz", "x.zip"]
    assert not (work / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tarred(tmp_path / "x.tgz", [(link("l", kind), b"")])
    with pytest.raises(ResectError, match=r"link|device"):
        unpack(archive, tmp_path / "out", most_bytes=1000)


def test_bombs_doubles_and_damage_leave_nothing(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", {"zeros": bytes(1_000_000)})
    assert bomb.stat().st_size < 10_000
    many = zipped(tmp_path / "many.zip", {str(i): b"" for i in range(20)})
    cut = tmp_path / "cut.zip"
    cut.write_bytes(zipped(tmp_path / "whole.zip", {"a": CONTENT[:5000]}).read_bytes()[:-30])
    twice = tarred(tmp_path / "twice.tgz", [(tarfile.TarInfo("a"), b"1"), (tarfile.TarInfo("a"), b"2")])
    for archive in (bomb, many, cut, twice):
        with pytest.raises(ResectError):
            unpack(archive, tmp_path / "out", most_bytes=10_000, most_files=10)
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".*"))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    archive = zipped(tmp_path / "small.zip", {"photos/a.txt": b"a"})
    entry = Dataset("w", "tum", "l", "p", archive.as_uri(), archive.stat().st_size, folder="photos")
    monkeypatch.setitem(catalog.DATASETS, "small", entry)
    return archive


def test_a_dataset_comes_with_its_source_and_is_checked_against_it_again(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert get("small", out) == out / "photos"
    assert SUM not in (out / "SOURCE.json").read_text()
    assert hashlib.sha256(small.read_bytes()).hexdigest() in (out / "SOURCE.json").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "small.zip"]
    with pytest.raises(ResectError, match="holds something"):
        get("small", out)
    get("small", out, overwrite=True)
    zipped(small, {"photos/a.txt": b"b"})
    with pytest.raises(ResectError, match="SHA-256"):
        get("small", out, overwrite=True)
    assert (out / "photos" / "a.txt").read_bytes() == b"a"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(ResectError, match="holds something"):
        get("small", tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").is_file()


def test_names_and_addresses_of_the_catalog() -> None:
    with pytest.raises(ResectError, match="7scenes-chess"):
        get("7scenes-ches", Path("x"))
    with pytest.raises(ResectError, match="data make"):
        get("room", Path("x"))
    for dataset in DATASETS.values():
        assert not dataset.url or (dataset.url.startswith(("https://", "http://")) and dataset.bytes > 0)
        assert dataset.sha256 == "" or len(bytes.fromhex(dataset.sha256)) == 32
