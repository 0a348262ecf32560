"""Published benchmarks, start to finish. Starts are made from the truth and are labelled so in every file."""
