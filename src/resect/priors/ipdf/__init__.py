"""Implicit-PDF: a density over SO(3) from one picture, by a network that is asked about one rotation at a time."""
