"""Where the detector puts a blob whose middle is known."""

import numpy as np
import pytest

from resect.data.sift import sift_detector


@pytest.mark.parametrize(("x", "y"), [(32.0, 32.0), (30.3, 33.6)])
def test_a_blob_is_found_at_its_middle(x: float, y: float) -> None:
    rows, columns = np.mgrid[:64, :64] + 0.5
    blob = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2))
    points = sift_detector().detect((40 + 180 * blob).round().astype(np.uint8), None)
    nearest = min(np.hypot(p.pt[0] + 0.5 - x, p.pt[1] + 0.5 - y) for p in points)
    assert nearest < 0.05  # a quarter of a pixel without the precise upscaling
