"""Several processes that train one network: `torchrun --nproc-per-node 2 -m resect fit …`.

Each process learns from its share of a batch and gradients are averaged, so the network is that of one process, but for
batch norms, which see their own share. The first process logs and writes; the others are silent.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import distributed, nn

_TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def is_first() -> bool:
    """Whether this process is alone or the first of several: the one that writes."""
    return not all(name in os.environ for name in _TOLD) or os.environ["RANK"] == "0"


@contextmanager
def joined(device: str) -> Iterator[tuple[int, int]]:
    """Yields (this process's number, how many there are); joins those that torchrun started."""
    if not all(name in os.environ for name in _TOLD) or not distributed.is_available():
        yield 0, 1
        return
    began = not distributed.is_initialized()
    if torch.device(device).type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if began:
        distributed.init_process_group("nccl" if torch.device(device).type == "cuda" else "gloo")
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        if began:
            distributed.destroy_process_group()


def shared(network: nn.Module, ranks: int) -> nn.Module:
    """The network with gradients averaged over processes."""
    return cast(nn.Module, nn.parallel.DistributedDataParallel(network)) if ranks > 1 else network


def any_of(said: bool, ranks: int, device: str) -> bool:
    """Whether any process says so; all of them must ask."""
    if ranks == 1:
        return said
    count = torch.tensor(int(said), device=device)
    distributed.all_reduce(count)
    return bool(count)
