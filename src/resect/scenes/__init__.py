"""Scenes: decoders from a pose to what would be seen."""
