"""A run is taken back: its stage, what it is held against, and what of the target was before it."""
