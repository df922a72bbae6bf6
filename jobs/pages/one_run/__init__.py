"""The page of one run: its numbers, its tables in parts, its chunks as a map, what workers do now, its log."""
