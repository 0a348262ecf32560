"""Makes the files beside it, and the closed-form scenes of the refiners' tests, importable."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "refine")]
