"""`resect cite`: BibTeX of the methods behind a name or an artefact."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from resect.citations import CITATIONS
from resect.cli.options import COMMON, CommonFlags, parse
from resect.cli.output import result, say
from resect.zoo import ZOO, entry


@dataclass(frozen=True)
class CiteArguments:
    """What to cite."""

    what: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names of methods, or folders that 'resect fit' made; none prints all."""
    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints BibTeX entries, each once."""
    example = "resect cite runs/place"
    flags = parse(CiteArguments, arguments, prog="resect cite", description="BibTeX of what was used.", example=example)
    names = [name for what in flags.what or tuple(ZOO) for name in _names(what)]
    keys = list(dict.fromkeys(key for name in names for key in entry(name).cite))
    if not keys:
        say(f"nothing to cite for {', '.join(names)}")
    result(flags.common, {"keys": keys}, "\n\n".join(CITATIONS[key] for key in keys))
    return 0


def _names(what: str) -> list[str]:
    """The method of a folder and those of the priors in it; a name is itself."""
    if not (Path(what) / "artifact.json").is_file():
        return [what]
    from resect.artifact import read_facts

    inside = sorted(p.parent for p in Path(what).glob("priors/*/artifact.json"))
    return [str(read_facts(folder)["kind"]) for folder in (Path(what), *inside)]
