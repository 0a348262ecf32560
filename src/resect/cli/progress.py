"""The progress bar: on stderr, with time left, gone when it is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, int, str], None]
"""Called with (done, total, remark)."""


@contextmanager
def bar(title: str) -> Iterator[Advance]:
    """A bar that the callback moves."""
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
    remark = TextColumn("{task.fields[remark]}")
    with Progress(*columns, remark, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None, remark="")

        def advance(done: int, total: int, remark: str = "") -> None:
            progress.update(task, completed=done, total=total, remark=remark)

        yield advance


@contextmanager
def share(title: str) -> Iterator[Callable[[str, float], None]]:
    """A bar that is moved by (what is being done, share that is done)."""
    with bar(title) as advance:
        yield lambda what, done: advance(round(1000 * done), 1000, what)
