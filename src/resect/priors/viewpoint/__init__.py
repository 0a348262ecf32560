"""Render for CNN: the viewpoint of an object of a known category, from its crop."""
