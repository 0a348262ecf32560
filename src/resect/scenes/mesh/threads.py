"""Work on poses, shared by threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch

from resect.scenes.field.rendering import has_numba


def fuses(fused: bool | None, device: torch.device) -> bool:
    """Whether numba does it; where it can when `None`."""
    return device.type == "cpu" and has_numba() if fused is None else fused


def in_threads(work: Callable[[int], None], count: int) -> None:
    """Calls ``work(i)`` for i < count, on as many threads as PyTorch uses."""
    threads = min(torch.get_num_threads(), count)
    if threads <= 1:
        for i in range(count):
            work(i)
        return
    for done in [_threads(torch.get_num_threads()).submit(work, i) for i in range(count)]:
        done.result()


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count)
