"""Guesses: where a photo may have been taken from."""
