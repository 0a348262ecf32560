"""The folder beside a Pose file that is being made: `poses.csv` and `poses.run/`.

    settings.json       what the answers depend on; another configuration is refused
    versions.json       of resect, torch, Python, and the processor, for each time the run was started
    log.jsonl           one line a photo: status, seconds, cost by stage, losses, the way the best hypothesis went
    poses.partial.csv   grows photo by photo; becomes poses.csv when all are done
    cost.json           medians and totals by stage

A photo is done when its line stands in log.jsonl: the line says how long poses.partial.csv was after it, so whatever a
killed process left behind it is cut off when the run goes on.
"""

import json
import math
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from resect.artifact import read_json, write_atomic, write_json
from resect.errors import ResectError
from resect.evaluation.pose_file import MAX_BYTES, PoseRow, Unit, header, to_text

_MADE = ("settings.json", "versions.json", "log.jsonl", "poses.partial.csv", "cost.json")


@dataclass(frozen=True, eq=False)
class Run:
    """What a run's folder says about the answers.

    Attributes:
        settings: what they depend on.
        log: lines of log.jsonl, in the order of the photos.
        versions: of the first start.
    """

    settings: dict[str, Any]
    log: tuple[dict[str, Any], ...]
    versions: dict[str, Any]


def run_folder(out: Path) -> Path:
    """`poses.run` of `poses.csv`."""
    return out.with_suffix(".run")


def read_run(out: Path) -> Run | None:
    """The run of a Pose file, or `None` where there is none, as with files of others."""
    folder = run_folder(out)
    if not (folder / "settings.json").is_file():
        return None
    settings = read_json(folder / "settings.json")
    lines, _ = _committed(folder / "log.jsonl", math.inf)
    versions = read_json(folder / "versions.json") if (folder / "versions.json").is_file() else []
    first = versions[0] if isinstance(versions, list) and versions and isinstance(versions[0], dict) else {}
    return Run(settings if isinstance(settings, dict) else {}, tuple(lines), first)


class RunWriter:
    """Appends answers so that each survives whatever ends the process. Made by `open_run`."""

    def __init__(self, out: Path, poses: IO[bytes], log: IO[bytes], done: Sequence[dict[str, Any]]) -> None:
        self.out, self._poses, self._log, self.entries = out, poses, log, list(done)

    def add(self, rows: Sequence[PoseRow], facts: Mapping[str, Any]) -> None:
        """Writes one photo's rows, then the line that makes them count."""
        try:
            _append(self._poses, to_text(rows).encode())
            entry = finite({**facts, "bytes": self._poses.tell()})
            _append(self._log, (json.dumps(entry, allow_nan=False) + "\n").encode())
        except OSError as error:
            fix = "Free space and give the same command again: it goes on where it stopped."
            raise ResectError(run_folder(self.out), "room to write answers", str(error), fix) from error
        self.entries.append(entry)

    def finish(self) -> None:
        """Puts the whole Pose file in its place."""
        folder = run_folder(self.out)
        self._poses.flush()
        partial = folder / "poses.partial.csv"
        write_json(folder / "cost.json", cost_by_stage(self.entries))
        write_atomic(self.out, partial.read_bytes())
        partial.unlink()


@contextmanager
def open_run(
    out: Path, settings: Mapping[str, Any], unit: Unit, *, resume: bool = True, overwrite: bool = False
) -> Iterator[RunWriter]:
    """Starts a run or goes on with one.

    Args:
        out: the Pose file to make.
        settings: all that the answers depend on, as JSON.
        unit: of translations.
        resume: go on with an unfinished run of the same settings; otherwise it is refused.
        overwrite: throw away what is there.
    """
    folder = run_folder(out)
    wanted = json.loads(json.dumps(settings, allow_nan=False))
    if overwrite:
        for path in (out, *(folder / name for name in _MADE)):
            path.unlink(missing_ok=True)
    _refuse(out, wanted, resume)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "settings.json").is_file():
        write_json(folder / "settings.json", wanted)
    partial, log = folder / "poses.partial.csv", folder / "log.jsonl"
    if out.is_file() and not partial.is_file():
        write_atomic(partial, out.read_bytes())
    head = header(unit).encode()
    if not partial.is_file() or partial.stat().st_size < len(head):
        write_atomic(partial, head)
    with partial.open("r+b") as poses, log.open("a+b") as lines:
        _only_one(lines, folder)
        done, end = _committed(log, partial.stat().st_size)
        lines.truncate(end)
        poses.truncate(int(done[-1]["bytes"]) if done else len(head))
        poses.seek(0, os.SEEK_END)
        _note_versions(folder / "versions.json")
        yield RunWriter(out, poses, lines, done)


def _refuse(out: Path, wanted: dict[str, Any], resume: bool) -> None:
    path = run_folder(out) / "settings.json"
    if not path.is_file():
        if out.exists():
            raise ResectError(out, "a name that is free", "an existing file", "Use another --out, or --overwrite.")
        return
    if not resume:
        raise ResectError(out, "a name that is free", "a run", "Resume it, use another --out, or --overwrite.")
    found = difference(read_json(path), wanted)
    if found is not None:
        name, before, now = found
        fix = "Use another --out, or --overwrite."
        raise ResectError(f"{path}: {name}", f"{before!r} as when the run was started", repr(now), fix)


def difference(a: object, b: object, name: str = "") -> tuple[str, object, object] | None:
    """The first place where two JSON values differ: (dotted name, there, here)."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}, key=str):
            found = difference(a.get(key), b.get(key), f"{name}.{key}" if name else str(key))
            if found is not None:
                return found
        return None
    return None if a == b else (name or "settings", a, b)


def _append(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _only_one(file: IO[bytes], folder: Path) -> None:
    """Two processes that append to one file would tear each other's lines; the lock ends with the process."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ResectError(folder, "a run that nobody else is writing", "another process at work on it") from None


def _committed(log: Path, size: float) -> tuple[list[dict[str, Any]], int]:
    """Whole lines whose answers are whole too, and where the last of them ends."""
    entries: list[dict[str, Any]] = []
    end, before = 0, 0
    if not log.is_file():
        return entries, end
    if log.stat().st_size > MAX_BYTES:
        raise ResectError(log, f"at most {MAX_BYTES >> 20} MiB", f"{log.stat().st_size >> 20} MiB")
    with log.open("rb") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                break
            length = entry.get("bytes") if isinstance(entry, dict) else None
            if not line.endswith(b"\n") or not isinstance(length, int) or not before < length <= size:
                break
            entries.append(entry)
            end, before = end + len(line), length
    return entries, end


def _note_versions(path: Path) -> None:
    import numpy
    import torch

    from resect import __version__

    earlier = read_json(path) if path.is_file() else []
    now = {
        "resect": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": torch.get_num_threads(),
    }
    if now not in earlier:
        write_json(path, [*earlier, now])


def finite(value: Any) -> Any:
    """JSON without NaN and infinities, which become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return value


def cost_by_stage(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians and totals over photos: milliseconds by stage, renders and rays."""
    from statistics import median

    stages: dict[str, list[float]] = {}
    for entry in entries:
        by_stage = entry.get("ms")
        for stage, ms in by_stage.items() if isinstance(by_stage, Mapping) else ():
            if isinstance(ms, (int, float)):
                stages.setdefault(str(stage), []).append(float(ms))
    table = {s: {"photos": len(v), "median_ms": median(v), "total_ms": sum(v)} for s, v in stages.items()}
    known = {key: [number for e in entries if (number := number_in(e, key)) is not None] for key in _COUNTED}
    totals = {key: {"median": median(v), "total": sum(v)} if v else None for key, v in known.items()}
    return {"photos": len(entries), **totals, "stages": table}


_COUNTED = ("seconds", "renders", "rays")


def number_in(entry: Mapping[str, Any], key: str) -> float | None:
    """A number of a log line; `None` where there is none."""
    value = entry.get(key)
    return float(value) if isinstance(value, (int, float)) else None
