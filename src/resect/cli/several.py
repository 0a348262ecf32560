"""Artefacts that know several places: DIR/places/NAME stands for one of them, wherever a place is asked for."""

from pathlib import Path

from resect import artifact
from resect.errors import ResectError, unknown_name

FOLDER = "places"


def folder_of(out: Path, name: str) -> Path:
    """DIR/places/NAME, which holds the facts of that place.

    Raises:
        ResectError: a name that cannot be a folder's.
    """
    if name != Path(name).name or name in ("", ".", "..") or any(c in name for c in ':\\"'):
        raise ResectError(f"place {name!r}", "a name without / \\ : and quotes", name, "Name it: NAME=FOLDER.")
    return out / FOLDER / name


def note(out: Path, names: tuple[str, ...]) -> None:
    """Makes each place's folder stand for the fitted artefact, asked about that place."""
    facts = artifact.read_facts(out)
    for name in names:
        artifact.write_json(folder_of(out, name) / "artifact.json", {**facts, "place": name})


def place_folder(flag: str, text: str, *, one: bool = False) -> Path:
    """The folder that DIR:NAME, or DIR where it knows one place, means; other paths as they are.

    Args:
        flag: that the path was given by.
        text: the path.
        one: whether a place has to be chosen even where a regressor can tell which it is, as each holds out its own.

    Raises:
        ResectError: a place that is not known, or none chosen among several.
    """
    path, _, name = text.rpartition(":") if not Path(text).exists() else (text, "", "")
    inside = Path(path) / FOLDER
    if not path or not inside.is_dir():
        return Path(text)
    known = sorted(p.name for p in inside.iterdir() if (p / "artifact.json").is_file())
    if name:
        if name not in known:
            raise unknown_name(f"{flag}: place of {path}", name, known)
        return inside / name
    from resect.zoo import role_of

    if len(known) > 1 and (one or role_of(path) == "scene"):
        fix = f"Give {flag} {path}:{known[0]}, or another."
        raise ResectError(f"{flag} {path}", "the place to ask about", f"{len(known)}: {', '.join(known)}"[:200], fix)
    return Path(text)
