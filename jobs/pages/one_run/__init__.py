"""Parts of the page of one run: its tables in parts, its chunks as a map, what workers do now, its log."""
