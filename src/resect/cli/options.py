"""Flags that every verb takes, and the one place where they take effect."""

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from resect.errors import ResectError

A = TypeVar("A")


@dataclass(frozen=True)
class Common:
    """Flags that every verb takes."""

    seed: int = 0
    """Seed of everything random."""
    device: str = "cpu"
    """PyTorch device, e.g. cpu or cuda:0."""
    threads: int = 0
    """CPU threads; 0 takes all cores."""
    json: bool = False
    """Print one JSON object on the last line of stdout."""
    verbose: Annotated[bool, tyro.conf.arg(aliases=["-v"])] = False
    """Say more on stderr."""


CommonFlags = Annotated[Common, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="")]
COMMON = Common()


def parse(kind: Callable[..., A], arguments: Sequence[str], *, prog: str, description: str) -> A:
    """A dataclass of flags from the command line; a wrong flag is bad input (exit code 2)."""
    return tyro.cli(
        kind,
        prog=prog,
        description=description,
        args=list(arguments),
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.HelptextFromCommentsOff),
    )


def start(common: Common) -> None:
    """Threads, device and logging, once, before any work."""
    level = logging.INFO if common.verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(message)s")
    if common.threads < 0:
        raise ResectError("--threads", "0 or more", str(common.threads))
    import torch

    torch.set_num_threads(common.threads or cores())
    device(common)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device(common: Common) -> Any:
    """The torch device, or an error that names those there are."""
    import torch

    try:
        found = torch.device(common.device)
        torch.zeros(1, device=found)
    except (RuntimeError, AssertionError) as error:
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise ResectError("--device", f"one of {', '.join(there)}", f"'{common.device}' ({error})") from None
    return found


def generator(common: Common) -> Any:
    """A seeded generator."""
    import torch

    return torch.Generator().manual_seed(common.seed)


def say(message: str) -> None:
    """A line for the person at the terminal."""
    print(message, file=sys.stderr, flush=True)


def result(common: Common, value: Mapping[str, Any], text: str) -> None:
    """The result on stdout: text for a person, JSON on the last line where asked for."""
    if text:
        print(text)
    if common.json:
        print(json.dumps(value, allow_nan=False), flush=True)


def refuse_overwrite(path: Path, overwrite: bool) -> None:
    """An error when a file, or a folder with something in it, would be written over."""
    if overwrite or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    raise ResectError(
        path, "a new file or an empty folder", "one that exists", "Add --overwrite or choose another --out."
    )
