"""A small capture."""

import pytest

from resect.data.synthetic import SyntheticSettings, make_capture
from resect.types import PhotoSet


@pytest.fixture(scope="session")
def capture() -> PhotoSet:
    """Sixteen small clean photos around a table."""
    wanted = SyntheticSettings(
        photos=16, width=48, height=36, path="orbit", noise=0.0, blur_px=0.0, exposure=0.0, distortion=False
    )
    return make_capture(wanted)
