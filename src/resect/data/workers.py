"""Many independent pieces of work, on several processes where asked."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import torch

from resect.errors import ResectError

J = TypeVar("J")
R = TypeVar("R")
_MOST = 1024
_work: Callable[[Any], Any] | None = None  # of a worker process


def each(work: Callable[[J], R], jobs: Sequence[J], workers: int = 1) -> Iterator[R]:
    """What `work` makes of each job, in their order.

    Args:
        work: must not depend on other jobs; a function of a module, or a `partial` of one, where there are several
            workers, and the script that asks must begin its own work below `if __name__ == "__main__"`.
        jobs: in any number.
        workers: processes, each with one thread; 1 works in this process, 0 takes as many as there are cores.

    Raises:
        ResectError: a negative number of workers, or too many.
    """
    if not 0 <= workers <= _MOST:
        raise ResectError("workers", f"0 (all cores) to {_MOST}", str(workers))
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        yield from map(work, jobs)
        return
    # Fork would copy the locks of threads that the children do not have.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, _begin, (work,)) as pool:
        try:
            yield from pool.map(_do, jobs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin(work: Callable[[Any], Any]) -> None:
    """In a new process."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is answered by the process that asked
    torch.set_num_threads(1)
    _work = work


def _do(job: Any) -> Any:
    assert _work is not None
    return _work(job)
