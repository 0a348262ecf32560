"""The command line: one file a verb, each made of a frozen dataclass of flags and a `run` function."""
