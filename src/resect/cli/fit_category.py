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
    view_numbers: tuple[int, ...] = ()
    """Views of each instance to learn from, from 0, in place of evenly spread ones; 64 is the published one shot."""
    val: Path | None = None
    """Other views of the same instances: the network that shows them best is kept, their PSNR and SSIM logged."""
    frozen: Path | None = None
    """A category that 'resect fit sigma-srn' made: its networks stay as they are, and the codes of these instances, new
    ones too, are learned from few views (--sigma-srn.views 1)."""
    overwrite: bool = False
    """Start anew over what is in --out; without it the same command resumes."""
    common: CommonFlags = COMMON


def fit_category(name: str, flags: FitCategoryArguments, settings: Any) -> int:
    """Fits a network of a category."""
    from resect.data.instances import read_instances
    from resect.scenes.sigma_srn.scene import SigmaSrn

    start(flags.common)
    data = read_instances(flags.data, settings.views, flags.instances, flags.view_numbers)
    say(f"{len(data.photos)} views of {len(data.names)} instances")
    frozen = None if flags.frozen is None else SigmaSrn.load(flags.frozen, flags.common.device)
    held_out = None if flags.val is None else read_instances(flags.val, instances=flags.instances)
    begin(flags)
    learn(name, data, settings, flags, held_out=held_out, frozen=frozen)
    facts = {"out": str(flags.out), "views": len(data.photos), "instances": len(data.names)}
    result(flags.common, facts, str(flags.out))
    return 0
