"""What priors of rotation share: what they see, batches, search over SO(3), and the way from a density to poses."""
