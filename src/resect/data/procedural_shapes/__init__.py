"""Shapes in closed form, drawn from families of chairs, tables and cars; see docs/decisions/shapes-of-a-category.md."""
