"""Runs the command line as a user would: in this process where that is enough, else as a process of its own."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resect.cli.main import main

TINY = (
    *("--field.max-side", "96", "--field.resolutions", "32", "64", "--field.steps", "60", "60"),
    *("--field.batch", "512", "--field.prune-every", "40", "--threads", "1"),
)


@dataclass(frozen=True)
class Said:
    """What a command said: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of stdout, which must be the only one that is JSON."""
        *before, last = self.out.strip().splitlines()
        assert not any(line.startswith("{") for line in before)
        return json.loads(last)


def resect(*arguments: object) -> Said:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(a) for a in arguments])
    return Said(code, out.getvalue(), err.getvalue())


def spawn(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
    code = "import sys; from resect.cli.main import entry; sys.argv[0] = 'resect'; entry()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": ""}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], text=True, env=environment, **options)


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[str]", seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"ended before it could be stopped: {process.communicate()[1]}"
        assert time.monotonic() < end, "it did not come that far"
        time.sleep(0.02)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def without_seconds(poses: Path) -> list[list[str]]:
    """The cells of a pose file but for the time it took."""
    rows = [line.split(",") for line in poses.read_text().splitlines()]
    column = rows[1].index("seconds")
    return [row[:column] + row[column + 1 :] if len(row) > column else row for row in rows]


def files(folder: Path, names: Sequence[str] = ()) -> dict[str, bytes]:
    """Content by name of all files in a folder."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: found[name] for name in names} if names else found
