"""`resect cite`: BibTeX of the methods behind a name or an artefact."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.cli.options import COMMON, CommonFlags, parse, result
from resect.zoo import CITATIONS, ZOO, entry


@dataclass(frozen=True)
class CiteArguments:
    """What to cite."""

    what: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names of methods or artefact folders; none prints all."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints BibTeX entries, each once."""
    flags = parse(CiteArguments, arguments, prog="resect cite", description="BibTeX of the methods.")
    keys = [key for what in flags.what or tuple(ZOO) for key in entry(_name(what)).cite]
    unique = list(dict.fromkeys(keys))
    result(flags.common, {"keys": unique}, "\n\n".join(CITATIONS[key] for key in unique))
    return 0


def _name(what: str) -> str:
    if (Path(what) / "artifact.json").is_file():
        from resect.artifact import read_facts

        return str(read_facts(what)["kind"])
    return what
