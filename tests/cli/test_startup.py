"""What the command line imports: told by `sys.modules`, as clocks on busy machines lie."""

import subprocess
import sys

from resect.cli import data, mesh
from resect.cli.main import VERBS
from resect.zoo import ZOO

HEAVY = {"torch", "numpy", "scipy", "cv2", "pycolmap", "numba", "PIL", "safetensors"}
LIGHT_HELP = (
    "--help", "--version", *(f"{verb} --help" for verb in VERBS), "fit", "benchmark", "data", "mesh", "fti", "fit fild",
    *(f"data {verb} --help" for verb in data._VERBS), *(f"mesh {verb} --help" for verb in mesh._VERBS),
    *(f"fit {name} --help" for name, entry in ZOO.items() if entry.fit), "list", "cite",
)  # fmt: skip


def imported_by(*commands: str) -> dict[str, set[str]]:
    """Heavy packages that each command brings in, all in one process."""
    code = (
        "import contextlib, io, sys\n"
        "from resect.cli.main import main\n"
        f"for command in {list(commands)!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        "        main(command.split())\n"
        f"    print(command, *({HEAVY!r} & set(sys.modules)), sep='\\t')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return {command: set(packages) for command, *packages in rows}


def test_help_needs_no_heavy_package() -> None:
    found = imported_by(*LIGHT_HELP)
    assert list(found) == list(LIGHT_HELP)
    assert {command: packages for command, packages in found.items() if packages} == {}


def test_the_first_page_needs_not_even_the_parser_of_flags() -> None:
    code = (
        "import sys; from resect.cli.main import main; main(['--help']); assert not {'tyro', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "resect", "--help"], capture_output=True, text=True, check=True)
    assert "resect VERB" in done.stdout
