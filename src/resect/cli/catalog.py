"""`resect list`: what there is by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from resect.cli.options import COMMON, CommonFlags, parse
from resect.cli.output import result
from resect.zoo import ZOO


@dataclass(frozen=True)
class ListArguments:
    """Scenes, priors, refiners and shape networks by name."""

    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints the zoo."""
    description = "What there is by name; what says 'fit' is learned from photos."
    flags = parse(ListArguments, arguments, prog="resect list", description=description, example="resect list --json")
    lines, wide = [], max(len(name) for name in ZOO)
    for role in ("scene", "prior", "refiner", "shape"):
        named = {name: e for name, e in ZOO.items() if e.role == role}
        if named:
            lines.append(f"{role}s")
            lines += [f"  {name:<{wide}} {'fit' if e.fit else '   '}  {e.line}" for name, e in named.items()]
    value = {name: {"role": e.role, "fit": bool(e.fit), "line": e.line} for name, e in ZOO.items()}
    result(flags.common, value, "\n".join(lines))
    return 0
