"""How long resect takes to start: as a library over PyTorch, and on the command line.

Specification, fixed before the first number was taken with it:

- Each line is a fresh interpreter (`python -c …` or the console script), wall clock from launch to exit; `--repeats`
  times (at least 7), taking turns, after one turn that fills the file cache. Medians; the least beside it.
- "import torch"; "import torch, resect": the difference is what resect costs; "every name": each public name is also
  touched, which imports the modules behind them.
- "resect --help" and "resect fit --help": the console script of this environment. Beside them it is asserted, in an
  interpreter that has run `resect --help` and `resect --version`, that neither torch nor numpy nor tyro was imported.
- Goals: import ≤ 0.3 s over torch; `resect --help` ≤ 0.4 s.

    python benchmarks/startup.py [--repeats 9]
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import tyro
from record import RESULTS, save, table

SCRIPT = Path(sys.executable).with_name("resect")
LINES: dict[str, list[str]] = {
    "python": [sys.executable, "-c", "pass"],
    "import torch": [sys.executable, "-c", "import torch"],
    "import torch, resect": [sys.executable, "-c", "import torch, resect"],
    "every name": [sys.executable, "-c", "import torch, resect\nfor name in resect.__all__: getattr(resect, name)"],
    "resect --help": [str(SCRIPT), "--help"],
    "resect fit --help": [str(SCRIPT), "fit", "--help"],
}
LIGHT = (
    "import sys; from resect.cli.main import main; assert main(['--help']) == 0 and main(['--version']) == 0; "
    "heavy = {'torch', 'numpy', 'tyro'} & set(sys.modules); assert not heavy, heavy"
)
COLUMNS = {"line": "line", "of": "of", "seconds": "s", "least": "least s", "over_torch": "over torch"}


@dataclass(frozen=True)
class Arguments:
    """How often."""

    repeats: int = 9
    """Turns; fewer than 7 only to see whether the script runs."""
    out: Path | None = RESULTS / "startup.json"
    """JSON file to write."""


def seconds_of(command: Sequence[str]) -> float:
    """From launch to exit; an error when it fails."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def main(args: Sequence[str] | None = None) -> list[dict[str, Any]]:
    arguments = tyro.cli(Arguments, args=args, description=__doc__)
    subprocess.run([sys.executable, "-c", LIGHT], check=True, capture_output=True)
    found: dict[str, list[float]] = {line: [] for line in LINES}
    for turn in range(arguments.repeats + 1):
        for line, command in LINES.items():
            seconds = seconds_of(command)
            found[line] += [seconds] if turn else []
    torch = median(found["import torch"])
    rows: list[dict[str, Any]] = [
        {"line": line, "of": len(all_), "seconds": median(all_), "least": min(all_)} for line, all_ in found.items()
    ]
    for row in rows:
        if row["line"] in ("import torch, resect", "every name"):
            row["over_torch"] = row["seconds"] - torch
    print(table(rows, COLUMNS))
    print("resect --help and --version import neither torch nor numpy nor tyro")
    save(arguments.out, "startup", arguments, rows)
    return rows


if __name__ == "__main__":
    main()
