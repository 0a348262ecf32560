"""resect: the pose of a camera or an object from a single image."""

__version__ = "0.1.0"
