"""Photos in and out: one small file a format; images, cameras, splits, checks, structure from motion.

The names below are imported when they are first used, so that settings can be read without PyTorch.
"""

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "load_split": "resect.data.split",
    "make_split": "resect.data.split",
    "read": "resect.data.detect",
    "read_photo": "resect.data.photo",
    "require": "resect.data.split",
    "save_split": "resect.data.split",
}

if TYPE_CHECKING:
    from resect.data.detect import read as read
    from resect.data.photo import read_photo as read_photo
    from resect.data.split import load_split as load_split
    from resect.data.split import make_split as make_split
    from resect.data.split import require as require
    from resect.data.split import save_split as save_split

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'resect.data' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)
