"""Predict, then score: predictions go to a file, ours or anyone's, and scoring reads it."""
