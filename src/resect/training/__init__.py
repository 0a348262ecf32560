"""What every fitted method shares: one loop, its settings, a log, checkpoints, and a clean stop on Ctrl-C."""
