"""Units of length: what people write, in metres; and what a number of units probably means."""

import math

from resect.errors import ResectError

METERS = {"mm": 0.001, "cm": 0.01, "m": 1.0, "in": 0.0254}


def parse_units(text: str) -> float:
    """Metres per unit, from mm, cm, m, in, or a number."""
    try:
        meters = METERS[text] if text in METERS else float(text)
    except ValueError:
        meters = math.nan
    if not (math.isfinite(meters) and meters > 0):
        raise ResectError("--units", "mm, cm, m, in, or metres per unit as a positive number", repr(text))
    return meters
