"""What every fitted method shares: a log, checkpoints, and a clean stop on Ctrl-C."""
