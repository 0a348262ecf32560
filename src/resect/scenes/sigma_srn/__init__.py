"""σSRN: one network that shows every instance of a category, each by a code."""
