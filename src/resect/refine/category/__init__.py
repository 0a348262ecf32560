"""Inversion of a scene that takes codes: the pose of an instance, and its code where that is not known."""
