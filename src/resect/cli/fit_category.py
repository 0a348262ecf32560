"""`resect fit sigma-srn INSTANCES --out DIR`: one network for all instances of a category, from their views."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.options import COMMON, CommonFlags, generator, refuse_overwrite, start
from resect.cli.output import result, say
from resect.zoo import entry, resolve


@dataclass(frozen=True)
class FitCategoryArguments:
    """Where the views are and what to make of them."""

    data: tyro.conf.Positional[Path]
    """Folder of instances: INSTANCE/rgb, INSTANCE/pose and INSTANCE/intrinsics.txt of each."""
    out: Path
    """Folder to make."""
    instances: tuple[str, ...] = ()
    """Names of those to learn; all by default."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def fit_category(name: str, flags: FitCategoryArguments, settings: Any) -> int:
    """Fits a network of a category."""
    from resect.cli.fit import clear
    from resect.cli.progress import bar
    from resect.data.instances import read_instances
    from resect.training.checkpoint import checkpoint_path

    start(flags.common)
    data = read_instances(flags.data, settings.views, flags.instances)
    say(f"{len(data.photos)} views of {len(data.names)} instances")
    if flags.overwrite:
        clear(flags.out)
    elif not checkpoint_path(flags.out).is_file():
        refuse_overwrite(flags.out, overwrite=False)
    fit = resolve(entry(name, fitted=True).fit)
    with bar("training") as progress:
        fit(data, settings, out=flags.out, resume=True, generator=generator(flags.common), progress=progress)
    facts = {"out": str(flags.out), "views": len(data.photos), "instances": len(data.names)}
    result(flags.common, facts, str(flags.out))
    return 0
