"""Shapes of a category from one photo or from points: occupancy networks, isosurfaces."""
