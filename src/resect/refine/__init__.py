"""Inversion: from hypotheses and a scene to the pose at which the render agrees with the photo."""
