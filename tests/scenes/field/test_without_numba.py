"""The package imports, fits and renders where numba is absent."""

import subprocess
import sys

_SCRIPT = """
import sys
sys.modules["numba"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "numba" else found(name, *rest)
from dataclasses import replace
from resect.data.synthetic import SyntheticSettings, make_capture
from resect.scenes.field.fit import fit
from resect.scenes.field.settings import FieldSettings
photos = make_capture(SyntheticSettings(photos=3, width=16, height=12))
made = fit(photos, replace(FieldSettings.tiny(), resolutions=(8,), steps=(3,), batch=64))
assert not made.fused
assert made.render(photos.cameras[0], photos.truth.cam_from_world[:1]).rgb.shape == (1, 192, 3)
"""


def test_fit_and_render_without_numba() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
