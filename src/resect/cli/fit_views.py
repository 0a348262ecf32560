"""`resect fit viewpoint VIEWS --out DIR`: learn from which side a category of objects is seen, from crops."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from resect.cli.learn import begin, learn
from resect.cli.options import COMMON, CommonFlags, start
from resect.cli.output import result, say


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
    from resect.data.view_list import read_views

    start(flags.common)
    data = read_views(flags.data)
    known = sorted(set(data.categories))
    say(f"{len(data)} crops of {len(set(data.models))} models: {', '.join(known[:12])}")
    begin(flags)
    learn(name, data, settings, flags)
    say(f"now: resect score {flags.out} OTHER_VIEWS, or resect reconstruct PHOTO --viewpoint {flags.out} …")
    result(flags.common, {"out": str(flags.out), "crops": len(data), "categories": known}, str(flags.out))
    return 0
