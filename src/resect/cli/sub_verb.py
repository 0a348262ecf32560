"""Verbs that have verbs: `resect data check`, `resect mesh info`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resect.cli.main import DONE
from resect.cli.options import parse, parse_with_settings, start
from resect.errors import unknown_name
from resect.zoo import resolve


@dataclass(frozen=True)
class SubVerb:
    """A line of a verb's table.

    Attributes:
        flags: its dataclass, with a field `common`.
        action: what it does with them, and with its settings where it has any; returns the exit code.
        example: for --help.
        settings: name of the flags' prefix, and "module:Class" of the settings; imported only when asked for.
    """

    flags: Any
    action: Callable[..., int]
    example: str
    settings: tuple[str, str] | None = None


def run_sub_verb(verb: str, table: Mapping[str, SubVerb], arguments: Sequence[str]) -> int:
    """Runs the line of the table that the first argument names, or lists them."""
    if not arguments or arguments[0] in ("-h", "--help"):
        width = max(map(len, table)) + 1
        lines = "\n".join(f"  {name:<{width}} {line.flags.__doc__}" for name, line in table.items())
        print(f"usage: resect {verb} VERB … [--flags]\n\n{lines}\n\nresect {verb} VERB --help tells more.")
        return DONE
    if arguments[0] not in table:
        raise unknown_name(f"verb of {verb}", arguments[0], table)
    line, prog = table[arguments[0]], f"resect {verb} {arguments[0]}"
    told = {"prog": prog, "description": line.flags.__doc__ or "", "example": line.example}
    if line.settings is None:
        flags = parse(line.flags, arguments[1:], **told)
        start(flags.common)
        return line.action(flags)
    prefix, path = line.settings
    flags, settings = parse_with_settings(line.flags, prefix, resolve(path), arguments[1:], **told)
    start(flags.common)
    return line.action(flags, settings)
