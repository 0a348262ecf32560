"""Makes `photo_sets.py` importable by the tests beside it; finds the real data."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def real() -> Path:
    folder = os.environ.get("RESECT_TEST_DATA")
    if not folder:
        pytest.skip("RESECT_TEST_DATA does not point at the real data")
    return Path(folder)
