"""What a user can do wrong is answered in four parts: where, what was expected, what was there, what to do."""

import ast
from pathlib import Path

import pytest

import resect

SOURCE = Path(resect.__file__).parent
ROTATIONS = ("data/rotations", "priors/image2sphere", "priors/ipdf", "priors/rotations", "nn/spherical")
CATEGORIES = ("scenes/sigma_srn", "refine/category")
FILES = [path for room in (*ROTATIONS, *CATEGORIES) for path in sorted((SOURCE / room).glob("*.py"))]
FILES.append(SOURCE / "data" / "instances.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_message_says_what_to_do(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ResectError":
            assert len(node.args) == 4, f"line {node.lineno} says no more than what is wrong"
