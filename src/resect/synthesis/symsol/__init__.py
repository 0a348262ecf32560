"""Solids with symmetries, drawn in closed form at random rotations: see `docs/decisions/symmetric-solids.md`."""
