"""Published image networks with their published parameter names, so that published weight files load."""
