"""Values that depend on those that are taken: how they are given once, kept, and found again for a source row."""
