"""Readers of datasets of images with a rotation each, one small file a format; all give a `RotationSet`."""
