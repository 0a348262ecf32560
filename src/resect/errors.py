"""One exception for the caller's mistakes, in four parts, and the helper that suggests a near name."""

import difflib
from collections.abc import Iterable

_MOST_NAMES = 24


class ResectError(ValueError):
    """A mistake in what resect was given; bugs of resect itself are `assert`s.

    Args:
        where: the file, line, key or argument.
        expected: what would have been right.
        got: what was there.
        fix: what to do about it, in one sentence.
    """

    def __init__(self, where: object, expected: str, got: str, fix: str = "") -> None:
        self.where, self.expected, self.got, self.fix = str(where), expected, got, fix
        super().__init__(f"{where}: expected {expected}, got {got}." + (f" {fix}" if fix else ""))


class NotInstalledError(ResectError, ImportError):
    """An optional package is missing; the message holds the pip command."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        where = f"package '{package}'"
        super().__init__(
            where, f"it to be installed for {purpose}", "no such package", f"pip install 'resect[{extra}]'"
        )


def unknown_name(where: object, got: str, known: Iterable[str]) -> ResectError:
    """The error for a name that does not exist, naming the nearest ones that do."""
    names = sorted(known)
    near = difflib.get_close_matches(got, names, n=3, cutoff=0.5)
    many = len(names) > _MOST_NAMES
    shown = ", ".join((near or names[:_MOST_NAMES]) if many else names) + (f", … ({len(names)} in all)" if many else "")
    fix = f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return ResectError(where, f"one of {shown}", repr(got), fix)
