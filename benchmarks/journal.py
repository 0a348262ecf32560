"""Trials that are done, one JSON line each: a long benchmark that is cut off goes on where it stopped."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from record import revision


@dataclass
class Journal:
    """Answers by key, kept in a file; other settings or sources are refused."""

    file: Path | None
    done: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, file: Path | None, asked: str) -> "Journal":
        """`asked`: everything besides the key that an answer depends on, such as a seed."""
        head = {"asked": asked, "revision": revision()}
        if file is None:
            return cls(None)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(head) + "\n", encoding="utf-8")
            return cls(file)
        first, *lines = file.read_text(encoding="utf-8").splitlines()
        if json.loads(first) != head:
            raise SystemExit(f"{file} holds trials of {first}, asked are {head}. Remove it, or name another --out.")
        return cls(file, {one.pop("key"): one for one in map(json.loads, lines)})

    def trial(self, key: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The answer that the file has, or a new one, which is written at once."""
        if key not in self.done:
            self.keep(key, run())
        return self.done[key]

    def keep(self, key: str, answer: dict[str, Any]) -> None:
        """Writes an answer down."""
        self.done[key] = answer
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"key": key, **answer}) + "\n")
