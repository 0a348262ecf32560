"""Progress on stderr, with time left: a bar on a terminal that is gone when done, else a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from resect.cli.output import say

Advance = Callable[[int, int, str], None]
"""Called with (done, total, remark)."""

_LINE_SECONDS = 10.0


@contextmanager
def bar(title: str) -> Iterator[Advance]:
    """Something to call with (done, total, remark)."""
    with _drawn(title) if sys.stderr.isatty() else _told(title) as advance:
        yield advance


@contextmanager
def share(title: str) -> Iterator[Callable[[str, float], None]]:
    """A bar that is moved by (what is being done, share that is done)."""
    with bar(title) as advance:
        yield lambda what, done: advance(round(1000 * done), 1000, what)


@contextmanager
def _drawn(title: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    times = (TimeElapsedColumn(), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *times)
    remark = TextColumn("{task.fields[remark]}", markup=False)
    with Progress(*columns, remark, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None, remark="")

        def advance(done: int, total: int, remark: str = "") -> None:
            progress.update(task, completed=done, total=total, remark=remark)

        yield advance


@contextmanager
def _told(title: str) -> Iterator[Advance]:
    """For log files: a line every ten seconds at most, and none for what is done sooner."""
    began = last = time.monotonic()

    def advance(done: int, total: int, remark: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _LINE_SECONDS and done > 0:
            last = now
            left = (now - began) / done * max(total - done, 0)
            say(f"{title} {done}/{total}  {remark}  {now - began:.0f} s, about {left:.0f} s left")

    yield advance
