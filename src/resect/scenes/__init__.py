"""Scenes: from a pose to what would be seen."""
