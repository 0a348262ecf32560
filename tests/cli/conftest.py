"""One tiny capture and one place learned from it, for all tests of the command line."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from shell import TINY, resect


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photos of the built-in room; two of them are held out."""
    out = tmp_path_factory.mktemp("room") / "capture"
    size = ("--capture.photos", 10, "--capture.width", 96, "--capture.height", 72, "--capture.path", "forward")
    said = resect("data", "make", "--out", out, *size, "--threads", 1, "--json")
    assert said.code == 0, said.err
    assert said.json == {"out": str(out), "photos": 10}
    return out


@pytest.fixture(scope="session")
def place(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never to be written to; `own_place` is."""
    out = tmp_path_factory.mktemp("runs") / "place"
    said = resect("fit", "field", capture, "--out", out, *TINY, "--json")
    assert said.code == 0, said.err
    assert said.json == {"out": str(out), "train": 8, "test": 2}
    return out


@pytest.fixture
def own_place(place: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return Path(shutil.copytree(place, tmp_path / "place"))


@pytest.fixture(scope="session")
def answers(capture: Path, place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Poses of the two held-out photos."""
    out = tmp_path_factory.mktemp("answers") / "poses.csv"
    said = resect("predict", capture, "--scene", place, "--out", out, "--threads", 1, "--json")
    assert said.code == 0, said.err
    assert said.json == {"out": str(out), "photos": 2, "failed": 0}
    return out
