"""`resect fit sigma-srn INSTANCES --out DIR`: one network for all instances of a category, from their views."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.learn import begin, learn
from resect.cli.options import COMMON, CommonFlags, start
from resect.cli.output import result, say


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
    from resect.data.instances import read_instances

    start(flags.common)
    data = read_instances(flags.data, settings.views, flags.instances)
    say(f"{len(data.photos)} views of {len(data.names)} instances")
    begin(flags)
    learn(name, data, settings, flags)
    facts = {"out": str(flags.out), "views": len(data.photos), "instances": len(data.names)}
    result(flags.common, facts, str(flags.out))
    return 0
