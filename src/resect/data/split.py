"""Which photos are learned from and which are held out, by rule, and `split.json` that keeps it by name."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from resect.artifact import read_json, write_json
from resect.errors import ResectError
from resect.types import PhotoSet, Split

_RULES = "given, every:8, blocks:20:4, file:NAMES or none"


class Named(Protocol):
    """Whatever has names."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of its photos."""
        ...


def make_split(photos: PhotoSet, rule: str | None = None) -> Split:
    """The split of a photo set.

    Args:
        photos: sorted by name.
        rule: "given" is the one that came with the data; "every:8" holds out index % 8 == 0; "blocks:20:4" holds out
            index // 20 % 4 == 3; "file:NAMES" holds out the photos named in a text file, one a line; "none" holds out
            nothing. Default: "given" where the data has one, else "every:8".

    Raises:
        ResectError: an unknown rule, or a half without photos.
    """
    rule = rule or ("given" if photos.given_split is not None else "every:8")
    if rule == "none":
        require(photos, 1, "a split")
        return Split(tuple(range(len(photos))), (), rule)
    if rule.partition(":")[0] == "given":
        if photos.given_split is None:
            got = f"format {photos.format} without one"
            raise ResectError("split 'given'", "data that comes with a split", got, "Use every:8.")
        return photos.given_split
    return split_names(photos, rule)


def split_names(photos: Named, rule: str) -> Split:
    """By "every:8", "blocks:20:4" or "file:NAMES", as `make_split` says."""
    kind, _, rest = rule.partition(":")
    count = len(photos.names)
    if kind == "every":
        (step,) = _integers(rule, rest, 1)
        held_out = [i for i in range(count) if i % step == 0]
    elif kind == "blocks":
        length, period = _integers(rule, rest, 2)
        held_out = [i for i in range(count) if i // length % period == period - 1]
    elif kind == "file":
        held_out = _named(photos, Path(rest))
    else:
        raise ResectError("split", _RULES, repr(rule))
    kept = sorted(set(range(count)) - set(held_out))
    if not kept or not held_out:
        got = f"{len(kept)} and {len(held_out)} of {count}"
        raise ResectError(f"split '{rule}'", "photos in both halves", got, "Choose another rule.")
    return Split(tuple(kept), tuple(held_out), rule)


def save_split(split: Split, photos: Named, path: Path) -> None:
    """Writes the names of both halves."""
    names = photos.names
    halves = {"train": [names[i] for i in split.train], "test": [names[i] for i in split.test]}
    write_json(path, {"rule": split.rule, **halves})


def load_split(path: Path, photos: Named) -> Split:
    """Reads a split back; every name must be among the photos, so that nothing held out is learned from by mistake.

    Photos that the file does not name are in neither half.
    """
    facts = read_json(path)
    rule = facts.get("rule") if isinstance(facts, dict) else None
    halves = [facts.get(key) if isinstance(facts, dict) else None for key in ("train", "test")]
    lists = all(isinstance(half, list) and all(isinstance(n, str) for n in half) for half in halves)
    if not isinstance(rule, str) or not lists:
        raise ResectError(path, "an object with 'rule', 'train' and 'test'", "something else")
    train, test = (_indices(photos, half or [], path) for half in halves)
    return Split(train, test, rule)


def require(photos: PhotoSet, least: int, purpose: str = "this") -> None:
    """An error when there are fewer photos than a method needs."""
    if len(photos) < least:
        fix = "Take more photos, from different places."
        raise ResectError(photos.root, f"at least {least} posed photos for {purpose}", str(len(photos)), fix)


def _integers(rule: str, text: str, count: int) -> list[int]:
    words = text.split(":")
    if len(words) != count or not all(w.isdecimal() and 1 <= int(w) <= 10**6 for w in words):
        raise ResectError("split", _RULES, repr(rule))
    return [int(w) for w in words]


def _named(photos: Named, path: Path) -> list[int]:
    if not path.is_file():
        raise ResectError(path, "a text file with one photo name a line", "no file")
    lines = [line.strip() for line in path.read_text("utf-8", "replace").splitlines()]
    return sorted(_indices(photos, [n for n in lines if n and not n.startswith("#")], path))


def _indices(photos: Named, names: Iterable[str], where: Path) -> tuple[int, ...]:
    index = {name: i for i, name in enumerate(photos.names)}
    wanted = list(names)
    lost = [n for n in wanted if n not in index]
    if lost:
        fix = "The split was made for other photos."
        raise ResectError(where, "names of these photos", f"{len(lost)} others, e.g. {lost[0]!r}", fix)
    return tuple(index[n] for n in wanted)
