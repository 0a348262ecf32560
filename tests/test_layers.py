"""The house keeps its order: imports point one way, files stay small, names mean something, importing is light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "resect"
FILES = sorted(SOURCE.rglob("*.py"))
LAYERS = (
    ("errors", "citations"),
    ("geometry",),
    ("types", "protocols"),
    ("nn", "data", "metrics", "artifact", "int8", "training"),
    ("priors", "scenes", "shape"),
    ("refine",),
    ("zoo", "localizer", "category", "place", "place_errors", "known_objects", "taught"),
    ("tracking", "evaluation", "synthesis"),
    ("viewer", "cli"),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
STRANGERS = [("priors", "scenes"), ("scenes", "priors")]
PLACES = ("fox", "fern", "lego", "kitchen", "redkitchen", "dragon", "chess", "cabinet")
DATASETS = (*PLACES, "7scenes", "seven_scenes", "cambridge", "ycb", "ycbv", "lmo", "linemod", "tudl", "shapenet")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports anywhere, lazily too."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports within resect are absolute"
            modules += [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "resect" else []
            modules += [node.module] if node.module else []
    rooms = {name.split(".")[1] for name in modules if name.startswith("resect.")}
    return rooms - {"__version__"}


def literals(path: Path) -> set[str]:
    """String constants that are not docstrings."""
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    nodes = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in prose)
    return {n.value for n in nodes if isinstance(n.value, str)}


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return  # the table of public names; the command line
    assert room in RANK, f"{room} has no layer; give it one in {Path(__file__).name} and in the design"
    for other in imported_rooms(path):
        assert other in RANK, f"{path} imports resect.{other}, which has no layer"
        assert RANK[other] <= RANK[room], f"{room} must not import {other}"
        assert (room, other) not in STRANGERS, f"{room} and {other} do not know each other"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        compiled = any("jit" in ast.unparse(d) for d in getattr(node, "decorator_list", []))  # one fused loop is long
        if isinstance(node, ast.FunctionDef) and not compiled:
            assert (node.end_lineno or 0) - node.lineno < 60, f"{path.name}: {node.name} does not fit on a screen"


def test_no_file_is_a_drawer_for_everything() -> None:
    forbidden = re.compile(r"^_*(utils?|misc\w*|helpers?|common|base)$")
    drawers = [p for p in (*FILES, *(p.parent for p in FILES)) if forbidden.match(p.stem)]
    assert drawers == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_dataset_is_treated_specially(path: Path) -> None:
    """Datasets are named by their readers, in published protocols, in the table of pixel origins, and in prose."""
    parts = path.relative_to(SOURCE).parts
    if parts[0] == "data" or parts[:2] == ("evaluation", "protocols") or path.name == "conventions.py":
        return
    assert {text.lower() for text in literals(path)} & set(DATASETS) == set()
    names = {n.id.lower() for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
    assert names & set(PLACES) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_typed_modules_are_checked_at_run_time_too(path: Path) -> None:
    assert "from __future__ import annotations" not in path.read_text()  # it would blind the jaxtyping hook


def test_nothing_is_unpickled_or_evaluated() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not {a.name for a in node.names} & {"pickle", "dill", "joblib", "shelve"}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, path


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_resect_loads_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "scipy", "rich", "tyro", "cv2", "pycolmap", "numba", "PIL", "tensorboard"}
    assert loaded_after("import resect") & heavy == set()
    records = loaded_after("import resect.types, resect.protocols, resect.geometry.align, resect.artifact")
    assert records & (heavy - {"torch", "numpy"}) == set()


def test_importing_any_module_loads_no_optional_package_and_switches_nothing() -> None:
    names = [".".join(("resect", *p.relative_to(SOURCE).with_suffix("").parts)) for p in FILES]
    names = [n.removesuffix(".__init__") for n in names if not n.startswith("resect.cli") and "kernel" not in n]
    code = (
        "import torch, random\n"
        "before = (torch.get_num_threads(), torch.get_default_dtype(), torch.initial_seed(), torch.is_grad_enabled())\n"
        + "\n".join(f"import {n}" for n in names if not n.startswith("resect.scenes.field"))
        + "\nassert before == (torch.get_num_threads(), torch.get_default_dtype(), torch.initial_seed(), "
        "torch.is_grad_enabled())"
    )
    assert loaded_after(code) & {"scipy", "rich", "tyro", "cv2", "pycolmap", "tensorboard", "imageio"} == set()
