"""Landmarks: points triangulated from the training photos, found again in a new photo; the pose explains them."""
