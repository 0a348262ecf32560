"""The pose of the camera in a place, from known objects that stand in it."""
