"""PoseNet: the pose of a photo in a known place, regressed in one pass."""
