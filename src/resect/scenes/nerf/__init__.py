"""NeRF as published: a place in the weights of two networks, rendered by marching rays."""
