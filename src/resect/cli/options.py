"""Flags that every verb takes, and the one place where they take effect."""

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from resect.errors import ResectError

A = TypeVar("A")
S = TypeVar("S")


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
_GOVERNED = ("seed", "threads", "device")


def parse(kind: Callable[..., A], arguments: Sequence[str], *, prog: str, description: str, example: str) -> A:
    """A dataclass of flags from the command line; a wrong flag is bad input (exit code 2).

    Args:
        kind: the dataclass.
        arguments: what stands after the verb.
        prog: the verb, for messages.
        description: one sentence for --help.
        example: a command line that a newcomer could type, for --help.
    """
    return tyro.cli(
        kind,
        prog=prog,
        description=f"{description}\n\nexample: {example}",
        args=list(arguments),
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.HelptextFromCommentsOff, tyro.conf.DisallowNone),
    )


def parse_with_settings(
    kind: type[Any], prefix: str, settings: type[S], arguments: Sequence[str], **told: str
) -> tuple[Any, S]:
    """Flags and, as --PREFIX.NAME, settings; seed, threads and device are the common flags' alone."""
    flags, found = parse_with_several(kind, {prefix: settings}, arguments, **told)
    return flags, found[prefix]


def parse_with_several(
    kind: type[Any], settings: Mapping[str, type[Any]], arguments: Sequence[str], **told: str
) -> tuple[Any, dict[str, Any]]:
    """The same with settings of several kinds, by prefix."""
    parts: list[Any] = [(prefix, own := own_flags(each), own()) for prefix, each in settings.items()]
    both = make_dataclass("Flags", [("own", Annotated[kind, tyro.conf.OmitArgPrefixes]), *parts])
    found: Any = parse(both, arguments, prog=told["prog"], description=told["description"], example=told["example"])
    return found.own, {p: governed(each, getattr(found, p), found.own.common) for p, each in settings.items()}


def own_flags(settings: type[S]) -> type[S]:
    """A dataclass of settings without flags for what the common flags govern."""
    hidden: list[Any] = [
        (f.name, Annotated[f.type, tyro.conf.Suppress], field(default=f.default))
        for f in fields(settings)  # type: ignore[arg-type]
        if f.name in _GOVERNED
    ]
    names: dict[str, Any] = {"__doc__": settings.__doc__}
    return make_dataclass(settings.__name__, hidden, bases=(settings,), frozen=True, namespace=names)


def governed(settings: type[S], chosen: object, common: Common) -> S:
    """Settings as chosen by `own_flags`, with seed, threads and device from the common flags."""
    values = {f.name: getattr(chosen, f.name) for f in fields(settings)}  # type: ignore[arg-type]
    common_values = {"seed": common.seed, "threads": common.threads or cores(), "device": common.device}
    return settings(**{k: common_values.get(k, v) for k, v in values.items()})


def start(common: Common) -> None:
    """Threads, device and logging, once, before any work."""
    level = logging.INFO if common.verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(message)s")
    if common.threads < 0:
        raise ResectError("--threads", "0 or more", str(common.threads))
    if not 0 <= common.seed < 2**31:
        raise ResectError("--seed", "0 to 2147483647", str(common.seed))
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
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        reason = str(error).partition("\n")[0]
        raise ResectError("--device", f"one of {', '.join(there)}", f"'{common.device}' ({reason})") from None
    return found


def generator(common: Common) -> Any:
    """A seeded generator."""
    import torch

    return torch.Generator().manual_seed(common.seed)


def at_least(flag: str, value: float, least: float) -> None:
    """An error, before any work, for a number that is too small (or not a number)."""
    if not value >= least:
        raise ResectError(flag, f"{least:g} or more", f"{value:g}")


def refuse_overwrite(path: Path, overwrite: bool) -> None:
    """An error when a file, or a folder with something in it, would be written over."""
    if overwrite or not path.exists() or os.environ.get("RANK", "0") != "0":
        return  # of several processes that train together, the first one looks after the files
    if path.is_dir() and all(inside.name.startswith(".") for inside in path.iterdir()):
        return  # empty, but for what a file manager or a killed process left
    raise ResectError(
        path, "a new file or an empty folder", "one that exists", "Add --overwrite or choose another --out."
    )
