"""`resect doctor`: versions, device, what is missing, and one timed render."""

import importlib.metadata
import importlib.util
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resect.cli.options import COMMON, Common, CommonFlags, cores, parse, start
from resect.cli.output import result

_PACKAGES = ("torch", "numpy", "scipy", "numba", "pycolmap", "opencv-python-headless", "pillow", "tyro")
_OPTIONAL = {"pillow-heif": "heic", "tensorboard": "tensorboard", "imageio-ffmpeg": "video"}


@dataclass(frozen=True)
class DoctorArguments:
    """Checks the installation."""

    common: CommonFlags = COMMON


def run(arguments: Sequence[str]) -> int:
    """Prints versions and the time of one render; what to paste into a bug report."""
    description = "Versions, device and one timed render: what to paste into a bug report."
    flags = parse(DoctorArguments, arguments, prog="resect doctor", description=description, example="resect doctor")
    start(flags.common)
    facts: dict[str, Any] = {"resect": _version("resect"), "python": platform.python_version()}
    facts |= {"system": platform.platform(), "cores": cores(), "device": flags.common.device}
    facts |= {name: _version(name) for name in _PACKAGES}
    facts |= {name: _version(name) or f"not installed (pip install 'resect[{e}]')" for name, e in _OPTIONAL.items()}
    facts["render_ms"] = round(_timed_render(flags.common), 1)
    result(flags.common, facts, "\n".join(f"{k:<24} {v or 'MISSING'}" for k, v in facts.items()))
    return 0


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _timed_render(common: Common) -> float:
    """Milliseconds of the second of two renders of the built-in room at 160×120."""
    from resect.geometry.camera import Camera
    from resect.geometry.se3 import SE3
    from resect.scenes.room import Room

    room, camera = Room(), Camera.from_fov(1.0, 160, 120)
    for _ in range(2):
        began = time.perf_counter()
        room.render(camera, SE3.identity(1))
    return 1000 * (time.perf_counter() - began)
