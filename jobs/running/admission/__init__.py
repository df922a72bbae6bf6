"""Who may take a chunk of a run: how many at once bring something, and where the others wait."""
