"""Training into a folder, as all of `resect fit` does it that makes one network from one set of data."""

from pathlib import Path
from typing import Any, Protocol

from resect.cli.options import CommonFlags, generator, refuse_overwrite

_LOG = "log.jsonl"


class LearnFlags(Protocol):
    """What is asked of such a command."""

    @property
    def out(self) -> Path:
        """Folder to make."""
        ...

    @property
    def overwrite(self) -> bool:
        """Whether to start anew."""
        ...

    @property
    def common(self) -> CommonFlags:
        """Seed, threads and the like."""
        ...


def begin(flags: LearnFlags) -> None:
    """Clears what an earlier run made where that is asked for, or where it stopped before anything was saved; else
    refuses it, unless it was cut short.
    """
    from resect.cli.fit import clear
    from resect.training.checkpoint import checkpoint_path

    if flags.overwrite or _only_begun(flags.out):
        clear(flags.out)
    elif not checkpoint_path(flags.out).is_file():
        refuse_overwrite(flags.out, overwrite=False)


def _only_begun(out: Path) -> bool:
    """Whether a folder holds nothing but the log of a run that failed at its beginning."""
    return out.is_dir() and {path.name for path in out.iterdir()} in ({_LOG}, {_LOG, "tensorboard"})


def learn(name: str, data: object, settings: object, flags: LearnFlags, **more: Any) -> None:
    """Fits an entry of the zoo, with a bar; `more` goes to its `fit`."""
    from resect.cli.progress import bar
    from resect.zoo import entry, resolve

    fit = resolve(entry(name, fitted=True).fit)
    with bar("training") as progress:
        fit(data, settings, out=flags.out, resume=True, generator=generator(flags.common), progress=progress, **more)
