"""Photos of meshes in clutter, with exact truth: to train on, to choose constants on, to test with."""
