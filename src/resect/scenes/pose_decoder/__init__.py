"""Pose auto-encoders: from a pose to what a pose regressor would have thought of a photo taken there."""
