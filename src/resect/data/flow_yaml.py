"""The little of YAML that the first LINEMOD files are written in: `gt.yml`, `info.yml`, `models_info.yml`.

Keys and what they hold, lists of such groups, and on one line numbers, `[a, b]` and `{a: b}`. Anything else is an
error: it is no YAML reader, and nothing is evaluated.
"""

import json
import re
from pathlib import Path
from typing import Any

from resect.errors import ResectError

_MOST_BYTES = 64 << 20
_KEY = re.compile(r"(?P<indent> *)(?P<dash>- )?(?P<key>\w+):(?P<value>.*)")


def read_flow_yaml(path: Path) -> dict[str, Any]:
    """Key → value, list or mapping, as JSON would have it; keys are strings."""
    if not path.is_file():
        raise ResectError(path, "a YAML file", "no file")
    if path.stat().st_size > _MOST_BYTES:
        raise ResectError(path, f"at most {_MOST_BYTES >> 20} MiB", f"{path.stat().st_size >> 20} MiB")
    found: dict[str, Any] = {}
    top = ""
    for where, line in _joined(path):
        match = _KEY.fullmatch(line)
        if match is None:
            raise ResectError(where, "key: value, as in the files of LINEMOD", repr(line[:60]))
        key, value = match["key"], _value(where, match["value"].strip())
        if not match["indent"] and not match["dash"]:
            top, found[key] = key, {} if value is None else value
        elif not top:
            raise ResectError(where, "a key at the beginning of the line first", repr(line[:60]))
        else:
            _group(found, top, starts=bool(match["dash"]), where=where)[key] = value
    return found


def _group(found: dict[str, Any], top: str, *, starts: bool, where: str) -> dict[str, Any]:
    """The mapping that an indented line belongs to: that under `top`, or the last of its list."""
    if starts:
        if found[top] == {}:
            found[top] = []
        if isinstance(found[top], list):
            found[top].append({})
    inner = found[top][-1] if isinstance(found[top], list) and found[top] else found[top]
    if not isinstance(inner, dict):
        raise ResectError(where, f"a value or a group under {top}", "both")
    return inner


def _joined(path: Path) -> list[tuple[str, str]]:
    """Lines, those of a bracket that is still open put together."""
    lines: list[tuple[str, str]] = []
    depth = 0
    for i, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if depth > 0:
            lines[-1] = (lines[-1][0], f"{lines[-1][1]} {line.strip()}")
        else:
            lines.append((f"{path}:{i}", line.rstrip()))
        depth += line.count("[") + line.count("{") - line.count("]") - line.count("}")
    return lines


def _value(where: str, text: str) -> Any:
    try:
        return json.loads(re.sub(r"(\w+):", r'"\1":', text)) if text else None
    except (ValueError, RecursionError):
        raise ResectError(where, "a number, [a, b] or {a: b}", repr(text[:60])) from None
