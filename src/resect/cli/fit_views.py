"""`resect fit viewpoint VIEWS --out DIR`: learn from which side a category of objects is seen, from crops."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.options import COMMON, CommonFlags, generator, refuse_overwrite, start
from resect.cli.output import result, say
from resect.zoo import entry, resolve


@dataclass(frozen=True)
class FitViewsArguments:
    """Where the crops are and what to make of them."""

    data: tyro.conf.Positional[Path]
    """Folder of 'resect data views', or one with a views.txt (MODEL IMAGE azimuth elevation tilt distance)."""
    out: Path
    """Folder to make."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def fit_views(name: str, flags: FitViewsArguments, settings: Any) -> int:
    """Fits a viewpoint network."""
    from resect.cli.fit import clear
    from resect.cli.progress import bar
    from resect.data.view_list import read_views
    from resect.training.checkpoint import checkpoint_path

    start(flags.common)
    data = read_views(flags.data)
    known = sorted(set(data.categories))
    say(f"{len(data)} crops of {len(set(data.models))} models: {', '.join(known[:12])}")
    if flags.overwrite:
        clear(flags.out)
    elif not checkpoint_path(flags.out).is_file():
        refuse_overwrite(flags.out, overwrite=False)
    fit = resolve(entry(name, fitted=True).fit)
    with bar("training") as progress:
        fit(data, settings, out=flags.out, resume=True, generator=generator(flags.common), progress=progress)
    say(f"now: resect score {flags.out} OTHER_VIEWS, or resect reconstruct PHOTO --viewpoint {flags.out} …")
    result(flags.common, {"out": str(flags.out), "crops": len(data), "categories": known}, str(flags.out))
    return 0
