"""An object's pose over a sequence of frames, and from it the camera's path."""
