"""Image decoders: a small picture from a pose, through the latents of a pose decoder."""
