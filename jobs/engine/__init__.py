"""The engine: receives connections and frozen values, moves, compares and removes rows, and returns results."""
