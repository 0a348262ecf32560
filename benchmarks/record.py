"""What a benchmark leaves behind: a table on the screen, and a JSON file that says what was run, on what, with what."""

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from resect.artifact import write_json
from resect.evaluation.run_folder import finite

CHECKOUT = Path(__file__).parents[1]
RESULTS = Path("benchmarks/results")
CACHE = Path("runs/benchmarks")
_PACKAGES = ("resect", "torch", "numpy", "scipy", "numba", "opencv-python-headless", "pycolmap")
_VARIABLES = ("OMP_WAIT_POLICY", "THP_MEM_ALLOC_ENABLE")


@dataclass
class Stopwatch:
    """Wall and processor seconds of a `with` block."""

    wall: float = 0.0
    cpu: float = 0.0

    def __enter__(self) -> "Stopwatch":
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]


def told(name: str, every: int = 250) -> Callable[[int, int, str], None]:
    """A progress of training that prints a line now and then."""

    def progress(done: int, of: int, remark: str) -> None:
        if done % every == 0 or done == of:
            print(f"{name} {done}/{of} {remark}", flush=True)

    return progress


def use_threads(threads: int) -> None:
    """PyTorch's threads; 0 takes all cores that this process may use."""
    torch.set_num_threads(threads or cores())


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def revision() -> str:
    """The git revision of the working tree; "+" when the sources or the scripts differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else "unknown"

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "benchmarks/*.py")
    return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


def circumstances() -> dict[str, Any]:
    """Machine, versions, revision and what changes the speed of threads."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return {
        "revision": revision(),
        "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        "threads": torch.get_num_threads(),
        "environment": {name: os.environ.get(name) for name in _VARIABLES},
        "versions": versions,
    }


def save(out: Path | None, what: str, arguments: object, rows: Sequence[Mapping[str, Any]], **facts: Any) -> None:
    """Writes the JSON; nothing when `out` is `None`."""
    if out is None:
        return
    asked = {k: _plain(v) for k, v in asdict(arguments).items()}  # type: ignore[call-overload]
    record = {"what": what, "arguments": asked, **circumstances(), **facts, "rows": list(rows)}
    write_json(out, finite(record))
    print(f"written: {out}")


def _plain(value: Any) -> Any:
    """Paths as text, in lists too: as a checkout has them, of others the name alone."""
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if not isinstance(value, Path):
        return value
    if value.is_absolute():
        return str(value.relative_to(CHECKOUT)) if value.is_relative_to(CHECKOUT) else value.name
    return str(value)


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Rows as text. `columns` is key → head; a missing value is a dash."""
    cells = [list(columns.values()), *([_cell(row.get(key)) for key in columns] for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(columns))]
    return "\n".join(
        "  ".join(c.ljust(w) if k < 2 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in cells
    )


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return " ".join(f"{k}:{_cell(v)}" for k, v in value.items())
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)
