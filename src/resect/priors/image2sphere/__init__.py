"""Image2Sphere: a density over SO(3) from one picture, by a network that turns with what it sees."""
