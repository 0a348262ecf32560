"""Rotations, rigid and similarity transforms, cameras, conventions. Depends on nothing but PyTorch."""
