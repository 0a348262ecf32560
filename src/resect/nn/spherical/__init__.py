"""Layers that turn with their input: functions on the sphere and on the rotations, as series of harmonics.

Driscoll and Healy 1994 for the transforms; Cohen, Geiger, Köhler and Welling, "Spherical CNNs", ICLR 2018, for the
convolutions; Klee, Biza, Platt and Walters, "Image to Sphere", ICLR 2023, for the lift from an image.
"""
