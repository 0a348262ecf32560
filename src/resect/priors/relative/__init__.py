"""Relative pose regression: a pose from where it stands to a reference, an image of training or a decoded latent."""
