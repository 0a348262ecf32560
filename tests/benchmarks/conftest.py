import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts import each other as Python does for one that is run: from their own folder."""
    monkeypatch.syspath_prepend(str(SCRIPTS))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small fitted place for all of them."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        from sets import open_set, place_of

        folder = tmp_path_factory.mktemp("benchmarks")
        place_of("room", *open_set("room", quick=True), folder, quick=True)
    finally:
        sys.path.remove(str(SCRIPTS))
    return folder
