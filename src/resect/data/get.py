"""From a name in the catalog to a folder of photos: fetch, check, unpack, and say where it came from."""

import shutil
from collections.abc import Callable
from pathlib import Path

from resect.artifact import read_json, write_json
from resect.data.catalog import DATASETS, Dataset
from resect.data.fetch import checksum, fetch
from resect.data.unpack import unpack
from resect.errors import ResectError, unknown_name

SOURCE = "SOURCE.json"
_SLACK = 1.5  # sizes without a checksum are only about right
_GROWTH = 6  # photos hardly shrink when packed


def get(
    name: str,
    out: Path,
    *,
    url: str = "",
    sha256: str = "",
    overwrite: bool = False,
    progress: Callable[[str, float], None] = lambda stage, share: None,
) -> Path:
    """Fetches a dataset into a folder and returns the folder inside it to learn from.

    The archive is kept in `OUT.download` until it is unpacked, so that the same call goes on where one was interrupted.

    Args:
        name: of the catalog.
        out: the folder to make.
        url: another address of the same archive, or file:// for one that is here already.
        sha256: what the archive must have; by default what the catalog says, else what an earlier `out` had.
        overwrite: replace what an earlier call made; nothing else is ever replaced.
        progress: told "download" and "unpack" with the share that is done.
    """
    if name not in DATASETS:
        raise unknown_name("data get", name, DATASETS)
    dataset = DATASETS[name]
    if not (url or dataset.url):
        raise ResectError(name, "a dataset to download", "one that is made", f"It is made here: {dataset.page}.")
    before = _before(name, out, overwrite)
    expected = sha256 or dataset.sha256 or before
    archive = out.with_name(f"{out.name}.download") / (url or dataset.url).rpartition("/")[2]
    if archive.is_file():
        found = checksum(archive)  # unpacking was interrupted
        if expected and found != expected.lower():
            raise ResectError(archive, f"SHA-256 {expected}", found, "Remove it, then give the same command again.")
    else:
        most = int(dataset.bytes * (1 if dataset.sha256 else _SLACK))
        report = lambda share: progress("download", share)  # noqa: E731
        found = fetch(url or dataset.url, archive, most_bytes=most, sha256=expected, progress=report)
    progress("unpack", 0.0)
    fresh = out.with_name(f"{out.name}.fresh") if out.exists() else out
    unpack(archive, fresh, most_bytes=_GROWTH * max(dataset.bytes, archive.stat().st_size))
    write_json(fresh / SOURCE, _source(name, dataset, url, found))
    if fresh != out:
        shutil.rmtree(out)
        fresh.rename(out)
    shutil.rmtree(archive.parent)
    progress("unpack", 1.0)
    return out / dataset.folder if (out / dataset.folder).is_dir() else out


def _source(name: str, dataset: Dataset, url: str, sha256: str) -> dict[str, str]:
    facts = {"name": name, "url": url or dataset.url, "sha256": sha256, "page": dataset.page}
    return {**facts, "licence": dataset.licence}


def _before(name: str, out: Path, overwrite: bool) -> str:
    """The checksum of what an earlier call put into `out`; an error where something else is there."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        if out.is_dir():
            out.rmdir()
        return ""
    path = out / SOURCE
    facts = read_json(path) if path.is_file() and not out.is_symlink() else None
    if not overwrite or not isinstance(facts, dict) or facts.get("name") != name:
        fix = "Choose another --out." if overwrite else "Choose another --out, or --overwrite what an earlier get made."
        raise ResectError(out, "a new or empty folder", "one that holds something", fix)
    return str(facts.get("sha256", ""))
