"""Photos in and out: one small file a format; images, cameras, splits, checks, structure from motion."""

from resect.data.detect import read
from resect.data.photo import read_photo
from resect.data.split import load_split, make_split, require, save_split

__all__ = ["load_split", "make_split", "read", "read_photo", "require", "save_split"]
