"""Triangle meshes as scenes: a z-buffer with exact derivatives, along contours too."""
