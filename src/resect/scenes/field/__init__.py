"""The fast voxel field: a sparse grid of densities and colours that trains in seconds on a CPU."""
