"""`docs/coverage.md` gives every feature one state, and names only commands and flags that exist."""

import re
from pathlib import Path

import pytest

from resect.cli.main import VERBS, main

ROOT = Path(__file__).parents[1]
STATES = {"works", "renamed", "superseded", "declined", "missing"}
ROWS = [
    [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| [A-E]\d{2,3} ", line)
]
COMMANDS = sorted({c for row in ROWS for c in re.findall(r"`(resect [a-z][^`]*)`", row[3])})


def test_every_id_has_one_row() -> None:
    ids = [row[0] for row in ROWS]
    assert len(set(ids)) == len(ids)
    for letter in {i[0] for i in ids}:
        numbers = sorted(int(i[1:]) for i in ids if i[0] == letter)
        assert numbers == list(range(1, len(numbers) + 1))
    assert {f"C{k:02}" for k in range(1, 79)} <= set(ids)


def test_every_row_has_one_state_and_a_reason() -> None:
    for row in ROWS:
        assert len(row) == 4, row
        assert row[2] in STATES, row
        assert row[3] or row[2] == "missing", row
        if row[2] in ("works", "renamed"):
            assert "`" in row[3], f"{row[0]} names no command"


def flags_there_are() -> set[str]:
    """Fields of dataclasses that command lines are made from."""
    source = ROOT / "src" / "resect"
    files = [*source.glob("cli/*.py"), *source.rglob("*settings.py"), source / "evaluation" / "trajectory_score.py"]
    return {name for file in files for name in re.findall(r"^    (\w+): ", file.read_text(encoding="utf-8"), re.M)}


@pytest.mark.parametrize("command", COMMANDS)
def test_named_commands_exist(command: str) -> None:
    verb, *words = command.split()[1:]
    assert verb == "VERB" or verb in VERBS
    there = flags_there_are()
    for word in words:
        if word.startswith("--") and word != "--help":
            assert word[2:].rpartition(".")[2].replace("-", "_") in there, word


_OWN = (
    "estimate",
    "predict",
    "track",
    "reconstruct",
    "render",
    "compare",
    "import",
    "mesh",
)  # flags do not depend on files


def own_commands() -> dict[tuple[str, ...], set[str]]:
    """Verb, with the second word of `mesh` → the flags that are named with it, as they are written."""
    found: dict[tuple[str, ...], set[str]] = {}
    for command in COMMANDS:
        verb, *words = command.split()[1:]
        if verb in _OWN:
            flags = {word for word in words if word.startswith("--")}
            found.setdefault((verb, words[0]) if verb == "mesh" else (verb,), set()).update(flags)
    return found


@pytest.mark.parametrize("verb", own_commands())
def test_flags_are_those_of_their_verb(verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb, "--help"]) == 0
    there = set(re.findall(r"--[a-z][\w.-]*", capsys.readouterr().out))
    assert own_commands()[verb] <= there | {"--help"}
