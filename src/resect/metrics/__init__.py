"""Numbers that say how good a pose, an image or a covariance is."""
